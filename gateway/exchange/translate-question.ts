import { randomUUID } from 'node:crypto';
import { isObject, type JsonObject, objectAt, type Question } from '../mcp/message.ts';

const isOfHop = (name: string): boolean =>
  name === 'progressToken' || name.startsWith('io.modelcontextprotocol/') || name.startsWith('quarterdeck.dev/');

/** What of a message's `_meta` goes on with it beyond its hop; undefined where that is nothing, as with most. */
export const passedMeta = (meta: unknown): JsonObject | undefined => {
  if (!isObject(meta)) return undefined;
  const names = Object.keys(meta).filter((name) => !isOfHop(name));
  return names.length === 0 ? undefined : Object.fromEntries(names.map((name) => [name, meta[name]]));
};

/** Without what belongs to the hop that the message came over: its progress token, and names that the protocol keeps for itself. */
export const withoutHopMeta = (object: JsonObject): JsonObject => {
  const { _meta, ...rest } = object;
  const passed = passedMeta(_meta);
  return passed ? { ...rest, _meta: passed } : rest;
};

/** 2025-06-18 knows titles of choices only beside the values. */
const withEnumNames = (property: unknown): unknown => {
  if (!isObject(property) || !Array.isArray(property.oneOf)) return property;
  const { oneOf, ...rest } = property;
  const choices = oneOf.filter(isObject);
  return { ...rest, enum: choices.map((choice) => choice.const), enumNames: choices.map(({ title, const: value }) => title ?? value) };
};

const elicitationFor = (version: string, params: JsonObject): JsonObject => {
  if (params.mode === 'url') {
    // the id says which visit has ended (2025-11-25); the modern era tells by the next round instead
    const { elicitationId, ...rest } = params;
    return version === '2025-11-25' ? { ...rest, elicitationId: elicitationId ?? randomUUID() } : rest;
  }
  if (version !== '2025-06-18') return params;
  const { mode: _mode, requestedSchema, ...rest } = params;
  const schema = isObject(requestedSchema) ? requestedSchema : {};
  const properties = Object.entries(objectAt(schema, 'properties')).map(([name, property]) => [name, withEnumNames(property)]);
  return { ...rest, requestedSchema: { ...schema, properties: Object.fromEntries(properties) } };
};

/** Before 2025-11-25 a message of a conversation had one block. */
const oneBlockEach = (message: unknown): unknown[] =>
  isObject(message) && Array.isArray(message.content) ? message.content.map((content) => ({ ...message, content })) : [message];

const samplingFor = (version: string, params: JsonObject): JsonObject =>
  version === '2025-11-25' || version >= '2026' || !Array.isArray(params.messages)
    ? params
    : { ...params, messages: params.messages.flatMap(oneBlockEach) };

/**
 * A server's question in the words of the client's revision.
 * @param version - protocol version that the client speaks
 */
export const translateQuestion = (version: string, { method, params = {} }: Question): Question => {
  // a task of the asked side (2025-11-25) is between two who have no gateway between them
  const { task: _task, ...own } = withoutHopMeta(params);
  if (method === 'elicitation/create') return { method, params: elicitationFor(version, own) };
  if (method === 'sampling/createMessage') return { method, params: samplingFor(version, own) };
  return { method, params: own };
};
