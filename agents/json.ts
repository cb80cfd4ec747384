/** A value as JSON can hold it. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

export const isJsonObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads JSON without throwing; undefined where the text is none. */
export const parseJson = (text: string): Json | undefined => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
};

export type Leaf = { key: string; value: Json };

/** The values at the ends of a JSON tree, in order, each with the nearest property name above it. */
export const leavesOf = (value: Json, key = 'value'): Leaf[] => {
  if (Array.isArray(value)) return value.flatMap((item) => leavesOf(item, key));
  if (isJsonObject(value)) return Object.entries(value).flatMap(([name, inner]) => leavesOf(inner, name));
  return [{ key, value }];
};
