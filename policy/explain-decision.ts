import type { TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Tenancy } from '../schema/ids.ts';
import type { ExplainedPolicy, ReadFact } from '../schema/policy-explanation.ts';
import type { PlatformPolicies, ProjectPolicies } from './assemble-policies.ts';
import { type ShapedRequest, valueAt } from './decision-shape.ts';
import { type Read, readsOf } from './policy-reads.ts';
import { uidKey } from './policy-scope.ts';
import { type PolicySource, policySources } from './policy-sources.ts';
import { entityText } from './policy-text.ts';
import { type EntityMap, withinOf } from './slice-entities.ts';

type Request = Omit<ShapedRequest, 'action'>;

/** Entities in a value as policies write them. */
const readable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  if ('__entity' in value) return entityText((value as { __entity: TypeAndId }).__entity);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, readable(inner)]));
};

/** What an entity is in, as policies write it. */
const containersOf = (entities: EntityMap, uid: TypeAndId): string[] =>
  [...withinOf(entities, uidKey(uid))].slice(1).map((key) => {
    const space = key.indexOf(' ');
    return entityText({ type: key.slice(0, space), id: key.slice(space + 1) });
  });

const factOf = (read: Read, request: Request, entities: EntityMap): ReadFact => {
  const { variable, path } = read;
  if (path.at(-1) === '*') {
    const value =
      path.length === 1
        ? { __entity: request[variable as 'principal' | 'resource'] }
        : valueAt({ variable, path: path.slice(0, -1) }, request, entities);
    const uid = (value as { __entity?: TypeAndId } | undefined)?.__entity;
    return { place: `${[variable, ...path.slice(0, -1)].join('.')} in`, value: uid ? containersOf(entities, uid) : null };
  }
  return { place: [variable, ...path].join('.'), value: readable(valueAt(read, request, entities)) ?? null };
};

/** Whether a scope looks at what the principal or the resource is in. */
const scopeReads = ({ principal, resource }: PolicySource['json']): Read[] =>
  (['principal', 'resource'] as const)
    .filter((variable) => {
      const constraint = { principal, resource }[variable];
      return constraint.op === 'in' || (constraint.op === 'is' && constraint.in !== undefined);
    })
    .map((variable) => ({ variable, path: ['*'] }));

const explained = (source: PolicySource, request: Request, entities: EntityMap): ExplainedPolicy => {
  const { id, kind, name, line, text, json } = source;
  const reads = [...scopeReads(json), ...(readsOf(json) ?? [])];
  const facts = new Map(reads.map((read) => factOf(read, request, entities)).map((fact) => [fact.place, fact]));
  return {
    id,
    effect: json.effect,
    source: { kind, name, line: line ?? null },
    text,
    annotations: Object.fromEntries(Object.entries(json.annotations ?? {}).map(([key, value]) => [key, value ?? ''])),
    reads: readsOf(json) ? [...facts.values()] : null,
  };
};

/**
 * The policies that determined a decision, with where they are written and what they read of the request as it was.
 * @param ids - of the determining policies
 * @returns those of `ids` that are among the policies
 */
export const explainDecision = (
  { tenancy, project, platform }: { tenancy: Tenancy; project: ProjectPolicies; platform: PlatformPolicies },
  ids: readonly string[],
  request: Request,
  entities: EntityMap,
): ExplainedPolicy[] => {
  const sources = policySources(tenancy, project, platform);
  return ids.flatMap((id) => {
    const source = sources.get(id);
    return source ? [explained(source, request, entities)] : [];
  });
};

/** Who, on what, in what: all that any policy could have read. */
export const allFacts = (request: Request, entities: EntityMap): ReadFact[] => {
  const ofEntity = (variable: 'principal' | 'resource'): ReadFact[] => {
    const uid = request[variable];
    const attributes = Object.entries(entities.get(uidKey(uid))?.attrs ?? {});
    return [
      { place: variable, value: entityText(uid) },
      { place: `${variable} in`, value: containersOf(entities, uid) },
      ...attributes.map(([name, value]) => ({ place: `${variable}.${name}`, value: readable(value) })),
    ];
  };
  const context = Object.entries(request.context).flatMap(([name, value]): ReadFact[] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).map(([inner, each]) => ({ place: `context.${name}.${inner}`, value: readable(each) }))
      : [{ place: `context.${name}`, value: readable(value) }],
  );
  return [...ofEntity('principal'), ...ofEntity('resource'), ...context];
};
