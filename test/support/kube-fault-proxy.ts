import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer, request as requestTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/**
 * What becomes of one request. `lose`: it is done, and its answer is lost; `unheard`: it is done, and nothing comes; `hang`: nothing comes;
 * `slowMs`: it is passed on so much later; `after`: it is passed on once that has come; `instead`: its answer is another text.
 */
export type Fault =
  | 'pass'
  | 'lose'
  | 'unheard'
  | 'hang'
  | 'cut'
  | { status: number; retryAfterSeconds?: number }
  | { slowMs: number }
  | { after: Promise<void> }
  | { instead: (answer: string) => string };

/** Stands in front of an API server, with its certificate, and spoils what it is told to. */
export const startKubeFaultProxy = async ({ apiUrl, folder }: { apiUrl: string; folder: string }) => {
  const [cert, key] = ['apiserver.crt', 'apiserver.key'].map((name) => readFileSync(join(folder, name), 'utf8'));
  let decide: (asked: IncomingMessage) => Fault = () => 'pass';
  let asked = 0;
  const forward = (incoming: IncomingMessage, outgoing: ServerResponse, lost?: 'lose' | 'unheard') => {
    const { method, url, headers } = incoming;
    const send = apiUrl.startsWith('https') ? requestTls : request;
    const upstream = send(`${apiUrl}${url}`, { method, headers, rejectUnauthorized: false }, (answer) => {
      if (lost) {
        answer.resume().on('end', () => void (lost === 'lose' && outgoing.destroy()));
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders(); // of a watch nothing else may come for long
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.destroy());
    outgoing.on('close', () => upstream.destroy());
    incoming.pipe(upstream);
  };
  const lie = ({ method, url, headers }: IncomingMessage, outgoing: ServerResponse, instead: (answer: string) => string): void => {
    const send = apiUrl.startsWith('https') ? requestTls : request;
    const plain = { ...headers, 'accept-encoding': 'identity' };
    send(`${apiUrl}${url}`, { method, headers: plain, rejectUnauthorized: false }, async (answer) => {
      const parts: Buffer[] = [];
      for await (const part of answer) parts.push(part);
      outgoing.writeHead(answer.statusCode ?? 502, { 'content-type': 'application/json' }).end(instead(Buffer.concat(parts).toString()));
    })
      .on('error', () => outgoing.destroy())
      .end();
  };
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    asked += 1;
    const fault = decide(incoming);
    if (fault === 'hang') return;
    if (fault === 'cut') return void incoming.destroy();
    if (fault === 'pass') return forward(incoming, outgoing);
    if (fault === 'lose' || fault === 'unheard') return forward(incoming, outgoing, fault);
    if ('slowMs' in fault) return void setTimeout(() => forward(incoming, outgoing), fault.slowMs);
    if ('after' in fault) return void fault.after.then(() => forward(incoming, outgoing));
    if ('instead' in fault) return lie(incoming, outgoing, fault.instead);
    const { status, retryAfterSeconds } = fault;
    outgoing.writeHead(status, retryAfterSeconds ? { 'retry-after': String(retryAfterSeconds) } : {}).end('no');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** From now on this becomes of requests. */
    set: (next: (asked: IncomingMessage) => Fault) => {
      decide = next;
    },
    requests: () => asked,
    /** Breaks what is open, such as watches. */
    cutAll: () => server.closeAllConnections(),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
