import { type PolicyJson, schemaToJson, type TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { cedarSchema } from './cedar-schema.ts';
import { type Read, readsOf } from './policy-reads.ts';
import { type Placed, scopeFits, uidKey } from './policy-scope.ts';
import { type EntityMap, entityMap, withinOf } from './slice-entities.ts';

/** A policy with conditions, and where those look. */
export type ConditionalPolicy = { scope: Pick<PolicyJson, 'principal' | 'action' | 'resource'>; reads: readonly Read[] | undefined };

export const conditionalPolicies = (policies: Iterable<PolicyJson>): ConditionalPolicy[] =>
  [...policies].filter(({ conditions }) => conditions.length > 0).map((policy) => ({ scope: policy, reads: readsOf(policy) }));

/** Each action of the schema with the groups that it is in. */
export const placedActions = (): ReadonlyMap<string, Placed> => {
  const schema = schemaToJson(cedarSchema);
  if (schema.type === 'failure') throw new Error(`the Cedar schema does not parse: ${schema.errors[0]?.message}`);
  const actions = Object.entries(schema.json.Quarterdeck?.actions ?? {});
  const uidOf = (id: string): TypeAndId => ({ type: 'Quarterdeck::Action', id });
  const groups = entityMap(
    actions.map(([id, { memberOf }]) => ({ uid: uidOf(id), attrs: {}, parents: (memberOf ?? []).map((group) => uidOf(group.id)) })),
  );
  return new Map(actions.map(([id]) => [id, { uid: uidOf(id), within: withinOf(groups, uidKey(uidOf(id))) }]));
};

/** Where the policies look whose scope fits a request; undefined where one of them may look anywhere, or there is no such action. */
export const applyingReads = (
  policies: readonly ConditionalPolicy[],
  entities: EntityMap,
  { principal, action, resource }: { principal: TypeAndId; action: Placed | undefined; resource: TypeAndId },
): Read[] | undefined => {
  if (!action) return undefined;
  const place = (uid: TypeAndId): Placed => ({ uid, within: withinOf(entities, uidKey(uid)) });
  const request = { principal: place(principal), action, resource: place(resource) };
  const applying = policies.filter(({ scope }) => scopeFits(scope, request));
  return applying.some(({ reads }) => !reads) ? undefined : applying.flatMap(({ reads }) => reads ?? []);
};
