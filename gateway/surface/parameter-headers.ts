import { isObject, type JsonObject } from '../mcp/message.ts';

/** An argument that a modern client repeats in a header, so that what stands between need not read the body. */
export type ParameterHeader = {
  /** Lower case, with its prefix: `mcp-param-region`. */
  header: string;
  /** Keys from the arguments' root to the value. */
  path: readonly string[];
  type: 'string' | 'integer' | 'boolean';
};
export type ParameterHeaders = { ok: true; headers: readonly ParameterHeader[] } | { ok: false; reason: string };

/** The argument that a header repeats; what is inherited is none. */
export const argumentAt = (argumentsOfCall: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined), argumentsOfCall);

const annotation = 'x-mcp-header';
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const types: readonly unknown[] = ['string', 'integer', 'boolean'];
/** A schema this deep is not walked further. */
const maxDepth = 64;

/** Whether the annotation stands anywhere in a piece of schema; `properties` may have a property of that very name. */
const isAnnotatedBelow = (value: unknown, depth = 0): boolean => {
  if (depth > maxDepth) return false;
  if (Array.isArray(value)) return value.some((inner) => isAnnotatedBelow(inner, depth + 1));
  if (!isObject(value)) return false;
  if (typeof value[annotation] === 'string') return true;
  return Object.values(value).some((inner) => isAnnotatedBelow(inner, depth + 1));
};

/**
 * Reads the annotations `x-mcp-header` of a tool's input schema. One that breaks the rules makes the whole tool unusable over HTTP.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/server/tools#x-mcp-header
 */
export const parameterHeadersOf = (inputSchema: unknown): ParameterHeaders => {
  const headers: ParameterHeader[] = [];
  const problems: string[] = [];
  const visit = (schema: JsonObject, path: string[]): void => {
    for (const [keyword, value] of Object.entries(schema)) {
      if (keyword === annotation) continue;
      if (keyword !== 'properties') {
        if (isAnnotatedBelow(value)) problems.push(`\`${annotation}\` below \`${keyword}\``);
        continue;
      }
      for (const [name, property] of Object.entries(isObject(value) ? value : {})) {
        if (!isObject(property) || path.length >= maxDepth) continue;
        const inner = [...path, name];
        if (annotation in property) read(property, inner);
        visit(property, inner);
      }
    }
  };
  const read = (property: JsonObject, path: string[]): void => {
    const name = property[annotation];
    if (typeof name !== 'string' || !token.test(name))
      return void problems.push(`\`${annotation}\` of ${path.join('.')} is no header name`);
    if (!types.includes(property.type)) return void problems.push(`${path.join('.')} is neither string, integer nor boolean`);
    const header = `mcp-param-${name.toLowerCase()}`;
    if (headers.some((other) => other.header === header)) return void problems.push(`two parameters share the header ${name}`);
    headers.push({ header, path, type: property.type as ParameterHeader['type'] });
  };
  if (isObject(inputSchema)) {
    if (annotation in inputSchema) problems.push(`\`${annotation}\` at the root`);
    visit(inputSchema, []);
  }
  return problems.length === 0 ? { ok: true, headers } : { ok: false, reason: problems.join('; ') };
};
