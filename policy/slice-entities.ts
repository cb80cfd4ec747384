import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { Read } from './policy-reads.ts';
import { uidKey } from './policy-scope.ts';

export type EntityMap = ReadonlyMap<string, EntityJson>;

export const entityMap = (...groups: (readonly EntityJson[])[]): EntityMap =>
  new Map(groups.flatMap((entities) => entities.map((entity) => [uidKey(entity.uid), entity] as const)));

/** Keys of all that an entity is in, itself included. */
export const withinOf = (entities: EntityMap, key: string): ReadonlySet<string> => {
  const within = new Set([key]);
  // a Set is walked in the order of its additions, those made on the way included
  for (const reached of within) for (const parent of entities.get(reached)?.parents ?? []) within.add(uidKey(parent));
  return within;
};

const asRecord = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

/** The key of the entity that a value refers to. */
const referenceIn = (value: Record<string, unknown> | undefined): string | undefined =>
  value && '__entity' in value ? uidKey(value as { __entity: TypeAndId }) : undefined;

/** An entity that says by itself all that it is in, so that those in between can be left out. */
const withAllParents = (entities: EntityMap, key: string, entity: EntityJson): EntityJson => {
  const within = withinOf(entities, key);
  if (within.size === entity.parents.length + 1) return entity;
  const parents = [...within].slice(1).map((parent) => {
    const space = parent.indexOf(' ');
    return { type: parent.slice(0, space), id: parent.slice(space + 1) };
  });
  return { ...entity, parents };
};

/**
 * The entities that a decision needs: principal, resource, and those that the conditions of the applying policies look into. Cedar reads
 * each entity anew for each decision, and that is most of what a decision costs.
 */
export const sliceEntities = (
  entities: EntityMap,
  reads: readonly Read[],
  { principal, resource, context }: { principal: TypeAndId; resource: TypeAndId; context: Context },
): EntityJson[] => {
  const start = { principal: { __entity: principal }, resource: { __entity: resource }, action: undefined, context };
  const needed = new Set([uidKey(principal), uidKey(resource)]);
  for (const { variable, path } of reads) {
    let value = asRecord(start[variable]);
    for (const attribute of path) {
      const key = referenceIn(value);
      if (key !== undefined) needed.add(key);
      const place: Record<string, unknown> | undefined = key === undefined ? value : entities.get(key)?.attrs;
      value = asRecord(place?.[attribute]);
    }
  }
  return [...needed].flatMap((key) => {
    const entity = entities.get(key);
    return entity ? [withAllParents(entities, key, entity)] : [];
  });
};
