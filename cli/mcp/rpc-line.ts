import { isObject, type JsonObject, objectAt, type RequestId, rpcCodes } from '../../gateway/mcp/message.ts';
import { metaKeys } from '../../schema/mcp-revisions.ts';

/** One message of a client as it came: its text is what is passed on, the rest says where to. */
export type RpcLine = { text: string } & (
  | { kind: 'request'; id: RequestId; method: string; params: JsonObject }
  | { kind: 'notification'; method: string; params: JsonObject }
  | { kind: 'response' }
  | { kind: 'batch'; ids: RequestId[] }
);
export type RequestLine = Extract<RpcLine, { kind: 'request' }>;

const isId = (value: unknown): value is RequestId => typeof value === 'string' || typeof value === 'number';

/** @returns undefined for what is no JSON-RPC message */
export const readLine = (text: string): RpcLine | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (Array.isArray(value))
    return { kind: 'batch', text, ids: value.flatMap((each) => (isObject(each) && 'method' in each && isId(each.id) ? [each.id] : [])) };
  if (!isObject(value)) return undefined;
  const params = objectAt(value, 'params');
  if (typeof value.method !== 'string')
    return 'id' in value && ('result' in value || 'error' in value) ? { kind: 'response', text } : undefined;
  if (isId(value.id)) return { kind: 'request', text, id: value.id, method: value.method, params };
  return 'id' in value ? undefined : { kind: 'notification', text, method: value.method, params };
};

/** The version that a modern message names; undefined for messages of the revisions before. */
export const versionOf = (params: JsonObject): string | undefined => {
  const version = objectAt(params, '_meta')[metaKeys.protocolVersion];
  return typeof version === 'string' ? version : undefined;
};

export const errorLine = (id: RequestId | null, code: number, message: string, data?: JsonObject): string =>
  JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, ...(data ? { data } : {}) } });

/** What a client is told when its request got no answer in all the time that was waited. */
export const awayLine = (id: RequestId): string =>
  errorLine(id, rpcCodes.platform, 'The Quarterdeck gateway does not answer. It is not known whether the request took effect.', {
    code: 'server_unavailable',
    retryable: true,
  });
