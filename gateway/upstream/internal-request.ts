import type { JsonObject } from '../mcp/message.ts';
import type { UpstreamRequest } from './upstream.ts';

const never = new AbortController().signal;

/** A request that the gateway makes on its own account. */
export const internalRequest = (method: string, params: JsonObject, timeoutMs: number): UpstreamRequest => ({
  method,
  params,
  idleTimeoutMs: timeoutMs,
  totalTimeoutMs: timeoutMs,
  signal: never,
});
