import { z } from 'zod';

/** Ids and messages of JSON-RPC 2.0 as MCP uses them; members beyond these pass unchanged. @see https://www.jsonrpc.org/specification */
export const RequestIdSchema = z.union([z.string(), z.number()]);
export type RequestId = z.infer<typeof RequestIdSchema>;

export type JsonRpcMessage = {
  jsonrpc: '2.0';
  id?: RequestId | null;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: unknown;
};
export type JsonRpcRequest = JsonRpcMessage & { id: RequestId; method: string };
export type JsonRpcNotification = JsonRpcMessage & { method: string };

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Recognises a message by its version alone; what kind it is says the presence of `method` and `id`. */
export const isMessage = (value: unknown): value is JsonRpcMessage => isObject(value) && value.jsonrpc === '2.0';

/** Error codes the host gives itself: two of the specification, one for what the platform's own code explains in `data`, one for a cancelled request. */
export const rpcErrorCodes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  platform: -32000,
  cancelled: -32800,
} as const;

/** The object under `name` of an object, or an empty one. */
export const objectAt = (value: unknown, name: string): Record<string, unknown> => {
  const member = isObject(value) ? value[name] : undefined;
  return isObject(member) ? member : {};
};
