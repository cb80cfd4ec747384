import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Stands before a gateway for a client that cannot bring a token: adds it, and passes everything else on as bytes both ways. A Host that
 * is this front's own becomes the gateway's; any other stays, so that tests of foreign Hosts reach the gateway as they are.
 */
export const startTokenFront = async (target: string, token: string): Promise<{ url: string; close(): Promise<void> }> => {
  const { hostname, port, pathname } = new URL(target);
  const front = createServer((incoming, response) => {
    const own = `:${(front.address() as AddressInfo).port}`;
    const headers = incoming.rawHeaders.map((text, index) =>
      index % 2 === 1 && /^(host|origin)$/i.test(incoming.rawHeaders[index - 1] ?? '') ? text.replace(own, `:${port}`) : text,
    );
    const outgoing = send(
      { hostname, port, method: incoming.method, path: `${pathname}${new URL(incoming.url ?? '/', target).search}` },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        response.flushHeaders();
        answer.pipe(response);
        answer.once('error', () => response.destroy());
      },
    );
    for (let index = 0; index < headers.length; index += 2) outgoing.setHeader(headers[index] ?? '', headers[index + 1] ?? '');
    outgoing.setHeader('authorization', `Bearer ${token}`);
    outgoing.once('error', () => response.destroy());
    response.once('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}/mcp`,
    close: async () => {
      front.closeAllConnections();
      await new Promise((resolve) => front.close(resolve));
    },
  };
};
