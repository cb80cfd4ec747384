import { isObject } from '../mcp/message.ts';

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const refersBy = ['$ref', '$dynamicRef', '$recursiveRef'];

/** What a local reference leads to; undefined where it leads elsewhere, or to a name. */
const target = (root: object, reference: unknown): object | undefined => {
  if (typeof reference !== 'string' || !/^#(?:\/|$)/.test(reference)) return undefined;
  let at: unknown = root;
  for (const step of reference.split('/').slice(1)) {
    const name = decoded(step).replaceAll('~1', '/').replaceAll('~0', '~');
    at = typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined;
  }
  return typeof at === 'object' && at !== null ? at : undefined;
};

/**
 * How many parts of a schema one value may be held against, at most: its objects, lists and what those list, and each definition as often as
 * something refers to it. Thirty definitions of which each refers to the next one twice are a billion.
 * @returns infinite where a definition contains itself, or a reference cannot be followed here
 */
export const schemaWeight = (schema: object): number => {
  const known = new Map<object, number>();
  const weigh = (part: object): number => {
    const before = known.get(part);
    if (before !== undefined) return before;
    // met again while it is weighed it contains itself
    known.set(part, Number.POSITIVE_INFINITY);
    let weight = 1;
    for (const value of Object.values(part))
      weight += typeof value === 'object' && value !== null ? weigh(value) : Array.isArray(part) ? 1 : 0;
    if (isObject(part))
      for (const name of refersBy) {
        const reference = part[name];
        // a property of that name is a schema, no reference
        if (typeof reference !== 'string') continue;
        const there = target(schema, reference);
        weight += there === undefined ? Number.POSITIVE_INFINITY : weigh(there);
      }
    known.set(part, weight);
    return weight;
  };
  return weigh(schema);
};

/** How many values a value is made of; no more than one above `most` are counted. */
export const countValues = (value: unknown, most: number): number => {
  const open: unknown[] = [value];
  let count = 0;
  for (let at = open.pop(); at !== undefined && count <= most; at = open.pop()) {
    count += 1;
    if (typeof at === 'object' && at !== null) for (const inner of Object.values(at)) open.push(inner ?? 0);
  }
  return count;
};
