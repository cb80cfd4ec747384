import type { PolicyJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { chainOf, type Read, readsOf } from './policy-reads.ts';
import { uidKey } from './policy-scope.ts';

type Node = Readonly<Record<string, unknown>>;
/** A place, or a value as the policy writes it. */
export type Side = { read: Read } | { value: string | number | boolean };
/** What a condition finds out of a request: a value, whether two are equal, or whether an entity is in one of some. */
export type Look = { read: Read } | { equal: readonly [Side, Side] } | { read: Read; within: readonly string[] };

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null && !Array.isArray(value);

const entityIn = (value: unknown): string | undefined =>
  isNode(value) && isNode(value.__entity) ? uidKey(value as { __entity: TypeAndId }) : undefined;

const sideOf = (expression: unknown): Side | undefined => {
  const read = chainOf(expression);
  if (read) return { read };
  const value = isNode(expression) ? expression.Value : undefined;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return { value };
  const entity = entityIn(value);
  return entity === undefined ? undefined : { value: entity };
};

/** Keys of the entities that an expression names outright. */
const entitiesIn = (expression: unknown): readonly string[] | undefined => {
  if (!isNode(expression)) return undefined;
  const elements = Array.isArray(expression.Set) ? expression.Set : [expression];
  const keys = elements.map((element) => (isNode(element) ? entityIn(element.Value) : undefined));
  return keys.every((key) => key !== undefined) ? keys : undefined;
};

/** The look that a whole expression is, where only its outcome counts. */
const lookOf = (expression: Node): Look | undefined => {
  const comparison = expression['=='] ?? expression['!='];
  if (isNode(comparison)) {
    const [left, right] = [sideOf(comparison.left), sideOf(comparison.right)];
    return left && right ? { equal: [left, right] } : undefined;
  }
  const { in: membership } = expression;
  if (!isNode(membership)) return undefined;
  const [read, within] = [chainOf(membership.left), entitiesIn(membership.right)];
  return read && within ? { read, within } : undefined;
};

/** The expression without what was put among `looks`. */
const withoutLooks = (expression: unknown, looks: Look[]): unknown => {
  if (Array.isArray(expression)) return expression.map((element) => withoutLooks(element, looks));
  if (!isNode(expression) || 'Value' in expression) return expression;
  const look = lookOf(expression);
  if (!look) return Object.fromEntries(Object.entries(expression).map(([key, inner]) => [key, withoutLooks(inner, looks)]));
  looks.push(look);
  return { Value: true };
};

/**
 * All that the conditions of a policy find out of a request; undefined where they cannot be followed. Two requests of which they find
 * out the same are one to the policy, so that it need not be asked about both.
 */
export const looksOf = (policy: PolicyJson): readonly Look[] | undefined => {
  const looks: Look[] = [];
  const conditions = policy.conditions.map(({ kind, body }) => ({ kind, body: withoutLooks(body, looks) as typeof body }));
  const reads = readsOf({ ...policy, conditions });
  return reads && [...looks, ...reads.map((read) => ({ read }))];
};
