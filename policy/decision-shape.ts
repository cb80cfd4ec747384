import type { Context, PolicyJson, PolicySet, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { type Look, looksOf, type Side } from './policy-looks.ts';
import type { Read } from './policy-reads.ts';
import { type Placed, scopeFits, uidKey } from './policy-scope.ts';
import { type EntityMap, withinOf } from './slice-entities.ts';

type Scope = Pick<PolicyJson, 'principal' | 'action' | 'resource'>;
type Looking = { scope: Scope; looks: readonly Look[] | undefined };
export type ShapedRequest = { principal: TypeAndId; action: Placed; resource: TypeAndId; context: Context };

/** Stands for what is not there: a policy that reads it cannot be evaluated. */
const missing = 'missing';

/** A template as one binding links it: with an entity in each of its slots. */
const linked = (template: PolicyJson, values: Readonly<Record<string, unknown>>): Scope => {
  const filled = <Constraint extends object>(constraint: Constraint): Constraint => {
    if (!('slot' in constraint)) return constraint;
    const { slot, ...rest } = constraint;
    return { ...rest, entity: values[String(slot)] } as unknown as Constraint;
  };
  return { principal: filled(template.principal), action: template.action, resource: filled(template.resource) };
};

/** What a policy finds at a place; undefined where nothing is there. */
export const valueAt = ({ variable, path }: Read, request: Omit<ShapedRequest, 'action'>, entities: EntityMap): unknown => {
  const start = { principal: { __entity: request.principal }, resource: { __entity: request.resource }, action: undefined };
  let value: unknown = variable === 'context' ? request.context : start[variable];
  for (const attribute of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    const key = '__entity' in value ? uidKey(value as { __entity: TypeAndId }) : undefined;
    // the entity itself, with all that it is in
    if (attribute === '*') return key === undefined ? undefined : [...withinOf(entities, key)].sort();
    value = ((key === undefined ? value : entities.get(key)?.attrs) as Record<string, unknown> | undefined)?.[attribute];
  }
  return value;
};

/** A value that is equal to another exactly where Cedar says so; undefined for sets and records. */
const plainOf = (value: unknown): string | number | boolean | undefined => {
  if (typeof value === 'object' && value !== null) return '__entity' in value ? uidKey(value as { __entity: TypeAndId }) : undefined;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
};

const textOf = (value: unknown): string => JSON.stringify(value) ?? missing;

const outcomeOf = (look: Look, request: ShapedRequest, entities: EntityMap): string => {
  const found = (side: Side): unknown => ('read' in side ? valueAt(side.read, request, entities) : side.value);
  if ('equal' in look) {
    const [left, right] = look.equal.map(found);
    const [plainLeft, plainRight] = [plainOf(left), plainOf(right)];
    return plainLeft === undefined || plainRight === undefined ? `${textOf(left)} ${textOf(right)}` : String(plainLeft === plainRight);
  }
  const value = valueAt(look.read, request, entities);
  if (!('within' in look)) return textOf(value);
  const key = plainOf(value);
  if (typeof key !== 'string') return missing;
  const within = withinOf(entities, key);
  return String(look.within.some((entity) => within.has(entity)));
};

/**
 * Makes the shape of requests to a policy set: a text that is equal for two requests only where the same policies have them in their scope
 * and find out the same of both. Such requests get the same decision for the same reasons, whoever asks and about what.
 * @param policies - the static ones, as Cedar has them in `set`
 * @returns undefined for a request that a policy looks at in a way that is not followed
 */
export const createShapes = (
  set: Pick<PolicySet, 'templateLinks'>,
  policies: Iterable<PolicyJson>,
  templates: ReadonlyMap<string, PolicyJson>,
): ((request: ShapedRequest, entities: EntityMap) => string | undefined) => {
  const links = (set.templateLinks ?? []).flatMap(({ templateId, values }): Looking[] => {
    const template = templates.get(templateId);
    return template ? [{ scope: linked(template, values), looks: looksOf(template) }] : [];
  });
  const all: Looking[] = [...[...policies].map((policy) => ({ scope: policy, looks: looksOf(policy) })), ...links];
  return (request, entities) => {
    const place = (uid: TypeAndId): Placed => ({ uid, within: withinOf(entities, uidKey(uid)) });
    const placed = { principal: place(request.principal), action: request.action, resource: place(request.resource) };
    const parts = [`${request.principal.type} ${request.action.uid.id} ${request.resource.type}`];
    for (const [index, { scope, looks }] of all.entries()) {
      if (!scopeFits(scope, placed)) continue;
      if (!looks) return undefined;
      parts.push(`${index} ${looks.map((look) => outcomeOf(look, request, entities)).join(' ')}`);
    }
    return parts.join('\n');
  };
};
