import { isEqualJson, pointerInto } from './json-pointer.ts';

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
