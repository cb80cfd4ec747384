import { isExactNumber } from '../../schema/exact-json.ts';

/** JSON-RPC 2.0 as MCP uses it. @see https://www.jsonrpc.org/specification */
export type JsonObject = Record<string, unknown>;
export type RequestId = string | number;

export type RpcError = { code: number; message: string; data?: unknown };

/** How a request ended: with its result, or with a JSON-RPC error. */
export type Reply = { kind: 'result'; result: JsonObject } | { kind: 'error'; error: RpcError };

/** A message that nobody answers. */
export type Notification = { method: string; params?: JsonObject };

/** A request without its id: who carries it gives it one. */
export type Question = { method: string; params?: JsonObject };

/** Codes of JSON-RPC 2.0 and of MCP. @see https://modelcontextprotocol.io/specification/2026-07-28/schema */
export const rpcCodes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** A refusal or failure of ours; `data.code` is the platform's own code. */
  platform: -32010,
  /** Headers and body say different things. */
  headerMismatch: -32020,
  missingClientCapability: -32021,
  unsupportedVersion: -32022,
  /** A legacy server wants a URL visited first. */
  urlElicitationRequired: -32042,
  /** The caller took the request back. */
  cancelled: -32800,
} as const;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isExactNumber(value);

/** What others sent, as text for a name or a message. `String` throws for a value whose `toString` is something else, and JSON may hold one. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'));

/** The object at a key, or an empty one. */
export const objectAt = (object: JsonObject | undefined, key: string): JsonObject => {
  const value = object?.[key];
  return isObject(value) ? value : {};
};
