import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { IssuerFront } from './installation.ts';

/** What stands between a gateway and its issuer, as a load balancer does: it passes keys on, or has nobody to ask. */
export const startIssuerFront = async (jwksUri: string): Promise<{ jwksUri: string; front: IssuerFront; close(): Promise<void> }> => {
  const front: IssuerFront = { isAway: false };
  const server = createServer(async (_asked, answer) => {
    if (front.isAway) return void answer.writeHead(503).end();
    try {
      const said = await fetch(jwksUri, { signal: AbortSignal.timeout(5000) });
      answer.writeHead(said.status, { 'content-type': 'application/json' }).end(await said.text());
    } catch {
      answer.writeHead(502).end();
    }
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    jwksUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    front,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
