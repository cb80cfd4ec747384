import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * An authorization server of somebody else's, as little of RFC 8414 and RFC 6749 §4.4 as gets a client a token: opaque ones, which it can
 * throw away while they still look good.
 * @param client - the only one that gets any
 */
export const startTokenIssuer = async (client: { id: string; secret: string }) => {
  let good = new Set<string>();
  const expected = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`;
  const server = createServer((request, response) => {
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
    if (request.url === '/.well-known/oauth-authorization-server')
      return void send(200, {
        ...{ issuer, token_endpoint: `${issuer}/token`, token_endpoint_auth_methods_supported: ['client_secret_basic'] },
        ...{ grant_types_supported: ['client_credentials'], response_types_supported: [] },
      });
    if (request.url !== '/token' || request.method !== 'POST') return void send(404, { error: 'not_found' });
    if (request.headers.authorization !== expected) return void send(401, { error: 'invalid_client' });
    const token = randomBytes(24).toString('base64url');
    good.add(token);
    send(200, { access_token: token, token_type: 'Bearer', expires_in: 3600 });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: issuer,
    /** Whether a request comes with one of its tokens. */
    knows: (authorization: string | undefined): boolean => good.has(authorization?.replace(/^Bearer /, '') ?? ''),
    /** Throws away all that it has given out. */
    revokeAll: (): void => {
      good = new Set();
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
