/** Ids and messages of JSON-RPC 2.0 as MCP uses them; members beyond these pass unchanged. @see https://www.jsonrpc.org/specification */
export type RequestId = string | number;

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

export const isRequestId = (value: unknown): value is RequestId => typeof value === 'string' || Number.isFinite(value);

/** Error codes the host gives itself: of the specifications, one for what the platform's own code explains in `data`, one for a cancelled request. */
export const rpcErrorCodes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  unsupportedVersion: -32022,
  platform: -32000,
  cancelled: -32800,
} as const;

export const rpcError = (id: RequestId | null, code: number, message: string, data?: unknown): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id,
  error: { code, message, ...(data === undefined ? {} : { data }) },
});

/** The object under `name` of an object, or an empty one. */
export const objectAt = (value: unknown, name: string): Record<string, unknown> => {
  const member = isObject(value) ? value[name] : undefined;
  return isObject(member) ? member : {};
};
