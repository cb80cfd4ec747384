import { pathCandidates, textCandidates } from './candidates.ts';
import type { ToolDescription } from './conversation.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import { isPathName } from './path-names.ts';
import type { SeenValues } from './seen-values.ts';

const mostItems = 8;
const deepest = 8;

const oneOf = (values: readonly Json[]): JsonObject | undefined => (values.length === 0 ? undefined : { enum: [...values] });

const typeOf = (schema: JsonObject): Json | undefined => (Array.isArray(schema.type) ? schema.type[0] : schema.type);

const valueGrammar = (name: string, schema: JsonObject, seen: SeenValues, depth: number): JsonObject | undefined => {
  if (depth > deepest) return undefined;
  if ('const' in schema) return { const: schema.const ?? null };
  if (Array.isArray(schema.enum)) return oneOf(schema.enum);
  switch (typeOf(schema)) {
    case 'string':
      return oneOf(isPathName(name) ? pathCandidates(seen) : textCandidates(seen).map(({ offer }) => offer));
    case 'integer':
      return oneOf(seen.numbers.filter(Number.isInteger));
    case 'number':
      return oneOf(seen.numbers);
    case 'boolean':
      return { type: 'boolean' };
    case 'array': {
      const items = isJsonObject(schema.items) ? valueGrammar(name, schema.items, seen, depth + 1) : undefined;
      const least = typeof schema.minItems === 'number' ? schema.minItems : 0;
      const most = Math.max(least, Math.min(mostItems, typeof schema.maxItems === 'number' ? schema.maxItems : mostItems));
      return items && { type: 'array', items, minItems: least, maxItems: most };
    }
    case 'object':
      return argumentsGrammar(schema, seen, depth + 1);
    default:
      return undefined;
  }
};

/**
 * Narrows a tool's input schema to values that were seen: only required arguments are asked for; one whose name says path takes a seen
 * path, any other text a seen text or its handle, a number a seen number.
 * @returns undefined where a required argument has no value that was seen
 */
export const argumentsGrammar = (inputSchema: JsonObject, seen: SeenValues, depth = 0): JsonObject | undefined => {
  const declared = isJsonObject(inputSchema.properties) ? inputSchema.properties : {};
  const required = Array.isArray(inputSchema.required) ? inputSchema.required.filter((name) => typeof name === 'string') : [];
  const properties: JsonObject = {};
  for (const name of required) {
    const schema = declared[name];
    const grammar = isJsonObject(schema) ? valueGrammar(name, schema, seen, depth) : undefined;
    if (!grammar) return undefined;
    properties[name] = grammar;
  }
  return { type: 'object', properties, required, additionalProperties: false };
};

/** The schema of one call as a step of constrained decoding; undefined where it cannot be made with values that were seen. */
export const callGrammar = (tool: ToolDescription, seen: SeenValues): JsonObject | undefined => {
  const grammar = argumentsGrammar(tool.inputSchema, seen);
  return (
    grammar && {
      type: 'object',
      properties: { tool: { const: tool.name }, arguments: grammar },
      required: ['tool', 'arguments'],
      additionalProperties: false,
    }
  );
};
