import { isObject, type JsonObject, objectAt } from '../../gateway/mcp/message.ts';
import { usageError } from '../output/cli-error.ts';

const isText = (schema: unknown): boolean => !isObject(schema) || schema.type === undefined || schema.type === 'string';

const readValue = (name: string, text: string, schema: unknown): unknown => {
  if (isText(schema)) return text;
  try {
    return JSON.parse(text);
  } catch {
    // one of several types, and text may be one of them
    if (isObject(schema) && Array.isArray(schema.type) && schema.type.includes('string')) return text;
    throw usageError(`${name}=${text}: the tool wants ${isObject(schema) ? JSON.stringify(schema.type) : 'JSON'} there`);
  }
};

/** Cuts `name=value`. @throws {CliError} usage */
export const readPairs = (given: readonly string[]): [name: string, value: string][] =>
  given.map((each) => {
    const at = each.indexOf('=');
    if (at < 1) throw usageError(`${each} is not name=value`);
    return [each.slice(0, at), each.slice(at + 1)];
  });

/**
 * Arguments of a tool as a person writes them: `name=value`, each value read as its schema wants it (text as it stands, all else as JSON).
 * @throws {CliError} usage
 */
export const readArguments = (given: readonly string[], inputSchema: JsonObject): JsonObject => {
  const properties = objectAt(inputSchema, 'properties');
  return Object.fromEntries(readPairs(given).map(([name, text]) => [name, readValue(name, text, properties[name])]));
};

/** @throws {CliError} usage */
export const readJsonArguments = (text: string): JsonObject => {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // said below
  }
  throw usageError('--json takes a JSON object, such as {"path": "/tmp"}, or - for stdin');
};
