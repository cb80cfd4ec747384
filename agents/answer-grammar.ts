import { pathCandidates, split } from './candidates.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { isPathName } from './path-names.ts';
import type { SeenValues } from './seen-values.ts';

const longestText = 300;
const shortestText = 40;
const mostItems = 8;

/** Where values of an `x-from` schema must come from: the agent's own input, whatever it has seen, or (`results`) what is in one and not the other. */
export type Origins = { input: SeenValues; seen: SeenValues };

const numberOf = (value: Json | undefined, otherwise: number): number => (typeof value === 'number' ? value : otherwise);

const isString = (schema: Json | undefined): schema is JsonObject =>
  isJsonObject(schema) && schema.type === 'string' && !('enum' in schema) && !('const' in schema);

/** The paths a text property is held to; undefined where it is free. */
const pathsFor = (name: string, schema: JsonObject, { input, seen }: Origins): string[] | undefined => {
  if (!isString(schema)) return undefined;
  if (schema['x-from'] === 'input') return pathCandidates(input);
  if (schema['x-from'] === 'results') return pathCandidates({ ...seen, paths: seen.paths.filter((path) => !input.paths.includes(path)) });
  return schema['x-from'] === 'seen' || isPathName(name) ? pathCandidates(seen) : undefined;
};

type Writer = { origins: Origins; longest: number };

const pathList = (schema: JsonObject, paths: readonly string[]): JsonObject => {
  const count = Math.min(numberOf(schema.maxItems, mostItems), paths.length);
  if (count === 0) return { const: [] };
  // each item has candidates of its own, so that no two items can be equal
  const prefixItems = split(paths, count).map((group) => ({ enum: group }));
  return { type: 'array', prefixItems, items: false, minItems: count, maxItems: count };
};

const listGrammar = (name: string, schema: JsonObject, writer: Writer): JsonObject => {
  const items = isJsonObject(schema.items) ? schema.items : { type: 'string' };
  const paths = pathsFor(name, items, writer.origins);
  if (paths && (schema.uniqueItems === true || paths.length === 0)) return pathList(schema, paths);
  const minItems = numberOf(schema.minItems, 0);
  const maxItems = Math.max(minItems, numberOf(schema.maxItems, mostItems));
  return { type: 'array', items: valueGrammar(name, items, writer), minItems, maxItems };
};

const objectGrammar = (schema: JsonObject, writer: Writer): JsonObject => {
  const declared = isJsonObject(schema.properties) ? schema.properties : {};
  const properties = Object.fromEntries(
    Object.entries(declared).map(([name, inner]) => [name, isJsonObject(inner) ? valueGrammar(name, inner, writer) : { type: 'string' }]),
  );
  const required = Array.isArray(schema.required) ? schema.required : [];
  return { type: 'object', properties, required, additionalProperties: false };
};

const valueGrammar = (name: string, schema: JsonObject, writer: Writer): JsonObject => {
  if ('const' in schema) return { const: schema.const ?? null };
  if (Array.isArray(schema.enum)) return { enum: schema.enum };
  const union = Array.isArray(schema.oneOf) ? schema.oneOf : schema.anyOf;
  if (Array.isArray(union)) return { oneOf: union.map((inner) => (isJsonObject(inner) ? valueGrammar(name, inner, writer) : {})) };
  switch (schema.type) {
    case 'object':
      return objectGrammar(schema, writer);
    case 'array':
      return listGrammar(name, schema, writer);
    case 'string': {
      const paths = pathsFor(name, schema, writer.origins);
      if (paths && paths.length > 0) return { enum: paths };
      const maxLength = Math.min(numberOf(schema.maxLength, longestText), writer.longest);
      const minLength = Math.min(numberOf(schema.minLength, 0), maxLength);
      return { type: 'string', ...(minLength > 0 ? { minLength } : {}), maxLength };
    }
    default: {
      const { type = 'string', minimum, maximum } = schema;
      return { type, ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) };
    }
  }
};

/** How many free texts an answer may hold at most, so that all of them together fit into one answer. */
const countTexts = (schema: JsonObject): number => {
  if (schema.type === 'object' && isJsonObject(schema.properties))
    return Object.values(schema.properties).reduce<number>((sum, inner) => sum + (isJsonObject(inner) ? countTexts(inner) : 0), 0);
  if (schema.type === 'array' && isJsonObject(schema.items)) return numberOf(schema.maxItems, mostItems) * countTexts(schema.items);
  return schema.type === 'string' ? 1 : 0;
};

/**
 * Narrows a role's output schema to what a grammar can hold a model to: a text whose name says path, or that has `x-from`, is one of the
 * paths seen; a list of such with `uniqueItems` is filled; free texts are short enough for all of them to fit into the answer.
 * @param maxOutputTokens - what one answer may be long; a token is taken as two characters, since a small model writes short ones
 */
export const answerGrammar = (output: JsonObject, origins: Origins, maxOutputTokens: number): JsonObject => {
  const unbounded = valueGrammar('answer', output, { origins, longest: longestText });
  const fair = Math.floor((maxOutputTokens * 2) / Math.max(1, countTexts(unbounded)));
  return fair >= longestText ? unbounded : valueGrammar('answer', output, { origins, longest: Math.max(shortestText, fair) });
};
