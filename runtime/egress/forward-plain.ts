import { type IncomingMessage, request as requestUpstream, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { createAlarm } from './mask-stream.ts';
import { parseAuthority } from './reach-host.ts';
import { placeholderMark, type ReachableServer } from './reachable-server.ts';
import { Refusal } from './refusal.ts';
import { endToEnd, type Header, headerPairs, isPlaceholderIn } from './swap-secrets.ts';
import type { Way, Ways } from './way.ts';

/** Takes `http://host:port/path?query` apart as it was sent; nothing is decoded or completed, and nobody logs in by an address. */
export const parseAbsolute = (url: string): { host: string; port: number; path: string } | undefined => {
  const [, authority = '', rest = ''] = /^http:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(url) ?? [];
  const place = parseAuthority(authority, 80);
  return place && { ...place, path: rest.startsWith('/') ? rest : `/${rest}` };
};

const send = (
  way: Way,
  request: IncomingMessage,
  { path, headers }: { path: string; headers: readonly Header[] },
  onBodyRefused: (error: Refusal) => void,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const upstream = requestUpstream({
      createConnection: () => way.upstream,
      method: request.method,
      path,
      headers: headers.flat(),
      setHost: false,
    });
    upstream.once('response', resolve);
    upstream.once('error', (cause) => reject(new Refusal('unreachable', { cause })));
    const body = createAlarm(placeholderMark, () => new Refusal('secret-in-clear'));
    pipeline(request.on('data', way.check), body, upstream).catch((error: unknown) => {
      if (error instanceof Refusal) onBodyRefused(error);
      reject(error);
    });
  });

/**
 * Passes one request of plain HTTP on to an allowed host, on a connection of its own. No secret ever goes this way.
 * @throws {Refusal} what was not put on record yet
 */
export const forwardPlain = async (
  ways: Ways,
  server: ReachableServer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> => {
  const place = parseAbsolute(request.url ?? '');
  const refuse = (reason: Refusal['reason'], at = place ?? { host: (request.url ?? '').slice(0, 200), port: 0 }): never => {
    ways.refuse(server, at, reason);
    throw new Refusal(reason);
  };
  if (!place) return refuse('address-malformed');
  const given = endToEnd(headerPairs(request.rawHeaders)).filter(([name]) => name.toLowerCase() !== 'host');
  if (isPlaceholderIn(place.path, given)) refuse('secret-in-clear', place);
  const named = parseAuthority(request.headers.host ?? '', 80);
  if (named && (named.host !== place.host || named.port !== place.port)) refuse('other-host', place);
  const way = await ways.open(server, { ...place, kind: () => 'plain' });
  response.once('close', () => way.end());
  way.sent([]);
  const host = `${place.host.includes(':') ? `[${place.host}]` : place.host}${place.port === 80 ? '' : `:${place.port}`}`;
  const sent: Header[] = [['host', host], ['connection', 'close'], ...given];
  const chunked: Header[] = request.headers['transfer-encoding'] === undefined ? [] : [['transfer-encoding', 'chunked']];
  const answer = await send(way, request, { path: place.path, headers: [...sent, ...chunked] }, ({ reason }) => way.end(reason));
  response.writeHead(answer.statusCode ?? 502, endToEnd(headerPairs(answer.rawHeaders)).flat());
  await pipeline(answer.on('data', way.check), response).catch(() => response.destroy());
};
