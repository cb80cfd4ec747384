import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { request as send } from 'undici';
import type { Logger } from '../telemetry/logger.ts';

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
]);

const forwardable = (headers: IncomingMessage['headers']): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined || hopByHop.has(name) ? [] : [[name, value]])),
  );

/**
 * Hands a request on to the api as it is, and its answer back; nothing is looked at.
 * @param options.source - where it comes from: said in place of whatever its headers say of that
 */
export const passThrough = async (
  apiUrl: string,
  request: IncomingMessage,
  response: ServerResponse,
  { source, logger }: { source: string | undefined; logger: Logger },
): Promise<void> => {
  const { forwarded: _hearsay, 'x-forwarded-for': _moreOfIt, ...headers } = forwardable(request.headers);
  const abort = new AbortController();
  response.once('close', () => abort.abort());
  try {
    const answer = await send(`${apiUrl}${request.url ?? '/'}`, {
      method: (request.method ?? 'GET') as 'GET',
      headers: { ...headers, ...(source === undefined ? {} : { 'x-forwarded-for': source }) },
      body: request.method === 'GET' || request.method === 'HEAD' ? null : request,
      signal: abort.signal,
    });
    response.writeHead(answer.statusCode, forwardable(answer.headers));
    await pipeline(answer.body, response);
  } catch (error) {
    if (abort.signal.aborted && response.headersSent) return;
    logger.warn({ err: error }, 'the api did not answer');
    if (!response.headersSent)
      response.writeHead(503, { 'content-type': 'application/problem+json', 'retry-after': '2' }).end(
        JSON.stringify({
          title: 'The api does not answer',
          status: 503,
          code: 'server_unavailable',
          retryable: true,
          detail: 'The api process does not answer; it is restarted, so try again in a few seconds.',
        }),
      );
    else response.destroy();
  }
};
