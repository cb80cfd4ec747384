import { isObject, type JsonObject, type RequestId } from '../mcp/message.ts';

export type MessageCheck =
  | { kind: 'request'; id: RequestId; method: string; params: JsonObject }
  | { kind: 'notification'; method: string; params: JsonObject }
  | { kind: 'response'; id: RequestId | null }
  /** `id` is the message's own where it can be read: the error that answers it carries it. */
  | { kind: 'invalid'; id: RequestId | null; reason: string };

/** Larger integers are not read exactly, so their answers would come back under another id. */
export const isRequestId = (value: unknown): value is RequestId => typeof value === 'string' || Number.isSafeInteger(value);

/**
 * Looks at one JSON-RPC message as MCP has them: parameters by name only, ids that are strings or integers, never null. Absent
 * parameters are an empty object. Members that JSON-RPC does not know are let through, as it says nothing of them.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#messages
 */
export const checkMessage = (message: unknown): MessageCheck => {
  if (!isObject(message)) return { kind: 'invalid', id: null, reason: 'it is not an object' };
  const { id, method, params } = message;
  const invalid = (reason: string): MessageCheck => ({ kind: 'invalid', id: isRequestId(id) ? id : null, reason });
  if (message.jsonrpc !== '2.0') return invalid('`jsonrpc` is not "2.0"');
  if (id !== undefined && id !== null && !isRequestId(id)) return invalid('`id` is neither a string nor an integer');
  const answers = Number(message.result !== undefined) + Number(message.error !== undefined);
  if (method === undefined) {
    if (answers !== 1) return invalid('it has no `method`, and not exactly one of `result` and `error`');
    // an error may answer what could not be read, and has no id then
    if (message.error !== undefined) return { kind: 'response', id: id ?? null };
    return id === undefined || id === null ? invalid('a result has no `id`') : { kind: 'response', id };
  }
  if (typeof method !== 'string' || method === '') return invalid('`method` is not a name');
  if (answers > 0) return invalid('it is a request and an answer at once');
  if (id === null) return invalid('`id` is null');
  if (params !== undefined && !isObject(params)) return invalid('`params` is not an object');
  return id === undefined ? { kind: 'notification', method, params: params ?? {} } : { kind: 'request', id, method, params: params ?? {} };
};
