import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose';
import { createProofCheck } from './check-proof.ts';
import { startCountingServer } from './counting-server.ts';

type Seen = { method: string; path: string; headers: IncomingHttpHeaders; body: string; claims?: JWTPayload; proof?: string };

/**
 * An MCP server that lets nobody in without a token of its own authorization server, for itself and no other, as RFC 9728 and RFC 6750 have
 * it; all that comes over its wire is kept.
 * @param options.needs - scopes that a call of a tool needs beyond a token
 */
export const startProtectedServer = async ({
  issuer,
  jwksUri,
  needs = {},
  scopes = ['tools.read'],
  bound,
}: {
  issuer: string;
  jwksUri: string;
  needs?: Record<string, string>;
  scopes?: string[];
  /** It takes nothing but tokens that are bound to a key, each with a proof (RFC 9449); `nonces`: and wants one of its own in them. */
  bound?: { nonces?: boolean };
}) => {
  const inner = await startCountingServer();
  const seen: Seen[] = [];
  const state = { issuers: [issuer], revoked: false, isMute: false, nonce: 'nonce-1' };
  const tokensSeen = new Set<string>();
  const tokensRevoked = new Set<string>();
  const checkProof = createProofCheck();
  let secret: string | undefined;
  let keys = createRemoteJWKSet(new URL(jwksUri));

  const scheme = bound ? 'DPoP' : 'Bearer';
  const claimsOf = async (authorization: string | undefined, resource: string): Promise<JWTPayload | undefined> => {
    const token = new RegExp(`^${scheme} (.+)$`).exec(authorization ?? '')?.[1];
    if (token === undefined || state.revoked || tokensRevoked.has(token)) return undefined;
    tokensSeen.add(token);
    if (token === secret) return {};
    return jwtVerify(token, keys, { audience: resource }).then(
      ({ payload }) => payload,
      () => undefined,
    );
  };

  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const { origin } = new URL(resourceUrl);
    const path = request.url ?? '/';
    const one: Seen = { method: request.method ?? '', path, headers: request.headers, body: body.toString('utf8') };
    seen.push(one);
    if (path === '/.well-known/oauth-protected-resource/mcp')
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          ...{ resource: resourceUrl, authorization_servers: state.issuers, scopes_supported: scopes },
          ...(bound ? { dpop_bound_access_tokens_required: true, dpop_signing_alg_values_supported: ['ES256'] } : {}),
        }),
      );
    if (path !== '/mcp') return void response.writeHead(404).end();
    const where = `resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`;
    const claims = await claimsOf(request.headers.authorization, resourceUrl);
    // as many servers do: no word of what it wants
    if (!claims && state.isMute) return void response.writeHead(401).end();
    if (!claims) return void response.writeHead(401, { 'www-authenticate': `${scheme} error="invalid_token", ${where}` }).end();
    if (bound) {
      const said = await checkProof(request, { url: resourceUrl, claims, body, nonce: bound.nonces ? state.nonce : undefined });
      one.proof = said;
      const nonce = bound.nonces ? { 'dpop-nonce': state.nonce } : {};
      if (said !== 'good') return void response.writeHead(401, { ...nonce, 'www-authenticate': `DPoP error="${said}", ${where}` }).end();
    }
    one.claims = claims;
    const tool = /"method":"tools\/call"/.test(one.body) ? /"name":"(\w+)"/.exec(one.body)?.[1] : undefined;
    const needed = tool === undefined ? undefined : needs[tool];
    if (
      needed !== undefined &&
      !String(claims.scope ?? '')
        .split(' ')
        .includes(needed)
    )
      return void response
        .writeHead(403, { 'www-authenticate': `${scheme} error="insufficient_scope", scope="${needed}", ${where}` })
        .end();
    const passed = send(inner.url, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    response.once('close', () => passed.destroy());
    passed.once('error', () => response.destroy());
    passed.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const resourceUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;

  return {
    url: resourceUrl,
    inner,
    /** Every request, newest last. */
    seen,
    /** What can be spoiled: the issuers that it names, whether it takes any token, and whether it says what it wants when it takes none. */
    state,
    trust: (uri: string): void => {
      keys = createRemoteJWKSet(new URL(uri));
    },
    /** Takes no token any more that it has taken before. */
    revokeSeen: (): void => {
      for (const token of tokensSeen) tokensRevoked.add(token);
    },
    /** Takes this too. */
    acceptsSecret: (value: string): void => {
      secret = value;
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await inner.close();
    },
  };
};
export type ProtectedServer = Awaited<ReturnType<typeof startProtectedServer>>;
