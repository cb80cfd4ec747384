import { isEqualJson, pointerInto, pointerParts } from './json-pointer.ts';

export type Difference = { path: string; desired: unknown; observed: unknown };

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What items of a list are known by, where each of both lists has it and no two share it; the order of such lists says nothing. */
const listKey = (desired: readonly unknown[], observed: readonly unknown[]): string | undefined =>
  ['name', 'containerPort', 'port', 'mountPath', 'key', 'ip', 'type'].find((name) =>
    [desired, observed].every(
      (list) =>
        list.every((item) => isRecord(item) && item[name] !== undefined) &&
        new Set(list.map((item) => (item as Record<string, unknown>)[name])).size === list.length,
    ),
  );

/**
 * Fields that are declared and not so. What is not declared is not compared: defaults and the fields of others are no drift. Paths are
 * those of the observed state, so that they can be held against who owns what there.
 */
export const compareState = (desired: unknown, observed: unknown, path = ''): Difference[] => {
  if (isRecord(desired) && isRecord(observed))
    return Object.entries(desired).flatMap(([name, value]) =>
      compareState(value, Object.hasOwn(observed, name) ? observed[name] : undefined, pointerInto(path, name)),
    );
  if (Array.isArray(desired) && Array.isArray(observed)) {
    const key = desired.length > 0 ? listKey(desired, observed) : undefined;
    if (key !== undefined) {
      let added = observed.length;
      return desired.flatMap((item) => {
        const at = observed.findIndex((other) => other[key] === item[key]);
        return compareState(item, observed[at], pointerInto(path, at === -1 ? added++ : at));
      });
    }
  }
  // an empty list or map that is declared and absent is the same: the API server drops it
  if (observed === undefined && typeof desired === 'object' && desired !== null && Object.keys(desired).length === 0) return [];
  return isEqualJson(desired, observed) ? [] : [{ path, desired, observed }];
};

/** Which item of a list is the one of another: by what both are known by, else the only one on either side that has no match. */
const indexAcross = (there: readonly unknown[], here: readonly unknown[], index: number): number => {
  const key = listKey(here, there);
  if (key === undefined) return index;
  const keyOf = (item: unknown): unknown => (item as Record<string, unknown> | undefined)?.[key];
  const isIn = (list: readonly unknown[], item: unknown): boolean => list.some((other) => keyOf(other) === keyOf(item));
  const found = here.findIndex((other) => keyOf(other) === keyOf(there[index]));
  if (found !== -1 || there[index] === undefined) return found;
  const lone = here.flatMap((item, at) => (isIn(there, item) ? [] : [at]));
  return lone.length === 1 && there.filter((item) => !isIn(here, item)).length === 1 ? (lone[0] ?? -1) : -1;
};

/**
 * Where in `to` the field is that a pointer names in `from`: items that are known by a name are found by it, wherever they stand. Undefined
 * where no such item is; members that are not there yet are named as they are.
 */
export const pointerAcross = (from: unknown, to: unknown, pointer: string): string | undefined => {
  let [there, here, path] = [from, to, ''];
  for (const part of pointerParts(pointer)) {
    if (Array.isArray(there) && Array.isArray(here)) {
      const index = indexAcross(there, here, Number(part));
      if (!Number.isInteger(index) || index < 0) return undefined;
      [there, here, path] = [there[Number(part)], here[index], pointerInto(path, index)];
    } else {
      const inner = (value: unknown): unknown => (isRecord(value) && Object.hasOwn(value, part) ? value[part] : undefined);
      [there, here, path] = [inner(there), inner(here), pointerInto(path, part)];
    }
  }
  return path;
};
