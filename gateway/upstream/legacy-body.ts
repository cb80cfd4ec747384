import type { UpstreamRequest } from './upstream.ts';

/** A request as a legacy server reads it. Its id is also the token of its progress. */
export const legacyBody = (id: number, { method, params, meta, wantsProgress, onNotification }: UpstreamRequest): string => {
  const progress = wantsProgress && onNotification ? { progressToken: id } : undefined;
  return JSON.stringify({ jsonrpc: '2.0', id, method, params: meta || progress ? { ...params, _meta: { ...meta, ...progress } } : params });
};
