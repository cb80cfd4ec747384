import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'undici';
import type { EgressParts } from './egress-parts.ts';
import { createAlarm, createMask, maskText } from './mask-stream.ts';
import { parseAuthority } from './reach-host.ts';
import { placeholderMark, type ReachableServer } from './reachable-server.ts';
import { Refusal } from './refusal.ts';
import { endToEnd, type Header, headerPairs, isPlaceholderIn, swapSecrets } from './swap-secrets.ts';
import type { Way } from './way.ts';

const bodyless = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** What the host hears instead of what the client accepts: an encoded answer could not be looked at. */
const plainAnswer: Header = ['accept-encoding', 'identity'];

const hasBody = ({ headers, method = 'GET' }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0 || !bodyless.has(method);

const answerHeaders = (headers: Record<string, string | string[] | undefined>, hidden: readonly string[]): Header[] =>
  endToEnd(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [value].flat().map((one): Header => [name, one]))),
  ).map(([name, value]) => [name, maskText(value, hidden)]);

const readerOf =
  ({ readSecret }: EgressParts, server: ReachableServer) =>
  (variable: string) =>
    readSecret(server, variable).catch((cause: unknown) => {
      throw new Refusal('secret-unavailable', { cause });
    });

/**
 * Passes one request on to the host of a way, with secrets in place of their placeholders, and its answer back, with asterisks in place of
 * those secrets. On a clear connection no placeholder may stand anywhere. No redirect is followed: where it leads is the server's next request, to be decided on as any other.
 * @throws {Refusal} before anything was answered
 */
export const forwardRequest = async ({
  way,
  client,
  isClear,
  server,
  parts,
  request,
  response,
}: {
  way: Way;
  client: Client;
  isClear: boolean;
  server: ReachableServer;
  parts: EgressParts;
  request: IncomingMessage;
  response: ServerResponse;
}): Promise<void> => {
  const { host, port } = way.rule;
  const { method = 'GET', url: path = '/' } = request;
  const named = parseAuthority(request.headers.host ?? '', isClear ? 80 : 443);
  if (!path.startsWith('/') || named?.host !== host || named.port !== port) throw new Refusal('other-host');
  const given = endToEnd(headerPairs(request.rawHeaders)).filter(([name]) => name.toLowerCase() !== 'accept-encoding');
  const headers = [...given, plainAnswer];
  if (isClear && isPlaceholderIn(path, headers)) throw new Refusal('secret-in-clear');
  const swapped = await swapSecrets({ headers, path, host, placeholders: server.placeholders, secretOf: readerOf(parts, server) });

  const body = hasBody(request) ? createAlarm(placeholderMark, () => new Refusal(isClear ? 'secret-in-clear' : 'secret-misplaced')) : null;
  let misplaced: unknown;
  if (body !== null)
    pipeline(request.on('data', way.check), body).catch((error: unknown) => {
      misplaced = error;
    });
  response.once('close', () => {
    if (!response.writableFinished) way.end();
  });
  way.sent(swapped.variables);
  const answer = await client.request({ method: method as 'GET', path, headers: swapped.headers.flat(), body }).catch((cause: unknown) => {
    throw [cause, misplaced].find((error) => error instanceof Refusal) ?? new Refusal('unreachable', { cause });
  });
  const encoding = answer.headers['content-encoding'];
  if (swapped.hidden.length > 0 && encoding !== undefined && encoding !== 'identity') {
    answer.body.on('error', () => undefined).destroy();
    throw new Refusal('answer-encoded');
  }
  answer.body.on('data', way.check);
  response.writeHead(answer.statusCode, answerHeaders(answer.headers, swapped.hidden).flat());
  const streams = swapped.hidden.length > 0 ? [answer.body, createMask(swapped.hidden), response] : [answer.body, response];
  await pipeline(streams as [typeof answer.body, ServerResponse]).catch(() => {
    if (misplaced instanceof Refusal) parts.recorder.refused(way.attempt, misplaced.reason);
    response.destroy();
  });
};
