import type { Origins } from './answer-grammar.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import type { SeenValues } from './seen-values.ts';

const holds = ({ paths, texts }: SeenValues, value: string): boolean => paths.includes(value) || texts.some((text) => text.value === value);

/**
 * Finds the texts of an answer that its schema wants from what was seen (`x-from: seen`) or from the agent's own input
 * (`x-from: input`), or in results and not in its input (`x-from: results`), and that do not stand there: invented paths, above all.
 * @returns JSON pointers into the answer
 */
export const inventedValues = (schema: JsonObject, value: Json, origins: Origins, pointer = ''): string[] => {
  if (typeof value === 'string') {
    const from = schema['x-from'];
    if (from === 'input') return holds(origins.input, value) ? [] : [pointer];
    if (from === 'results') return holds(origins.seen, value) && !holds(origins.input, value) ? [] : [pointer];
    return from !== 'seen' || holds(origins.seen, value) ? [] : [pointer];
  }
  const { items, properties } = schema;
  if (Array.isArray(value) && isJsonObject(items))
    return value.flatMap((item, index) => inventedValues(items, item, origins, `${pointer}/${index}`));
  if (!isJsonObject(value) || !isJsonObject(properties)) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const property = properties[name];
    return isJsonObject(property) ? inventedValues(property, inner, origins, `${pointer}/${name}`) : [];
  });
};
