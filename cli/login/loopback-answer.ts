import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CliError } from '../output/cli-error.ts';
import { exitCodes } from '../output/exit-codes.ts';

const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  connection: 'close',
};
const page = (text: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quarterdeck</title></head><body><p>${text}</p></body></html>`;

/**
 * Waits for the browser to come back with the answer, on a free port of the loopback address (RFC 8252 §7.3). Only a request with our
 * `state` is the answer: anything on this machine may knock there.
 * @param options.state - that the answer has to bring
 * @param options.waitMs - how long the person may take
 */
export const openLoopback = async ({ state, waitMs }: { state: string; waitMs: number }) => {
  const answer = Promise.withResolvers<URL>();
  answer.promise.catch(() => undefined);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', redirectUri);
    if (request.method !== 'GET' || url.pathname !== '/callback' || url.searchParams.get('state') !== state)
      return void response.writeHead(404, headers).end(page('This is not the answer that is waited for.'));
    const isGood = url.searchParams.has('code');
    response
      .writeHead(200, headers)
      .end(page(isGood ? 'You are logged in. Go back to the terminal.' : 'You are not logged in; the terminal says why.'));
    answer.resolve(url);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
  const late = setTimeout(
    () =>
      answer.reject(
        new CliError(`Nobody logged in within ${Math.round(waitMs / 1000)} seconds`, {
          exitCode: exitCodes.timeout,
          next: 'run the command again',
        }),
      ),
    waitMs,
  );
  return {
    redirectUri,
    /** The address that the browser came back to, with the answer in it. */
    answer: answer.promise,
    close: (): void => {
      clearTimeout(late);
      server.close();
      server.closeIdleConnections();
    },
  };
};
