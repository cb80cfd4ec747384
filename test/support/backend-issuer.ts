import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRemoteJWKSet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { errors, type JWK, Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { freePort } from '../../bench/gateway/free-port.ts';

export const backendClient = { id: 'quarterdeck-at-backend', secret: 'the-backend-client-secret-0123456789' };
/** Who comes with nothing but what its machine says of it. */
export const workloadClient = 'workload-at-backend';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

type Seen = { path: string; status: number; authorization: string | undefined; proof: string | undefined; form: URLSearchParams };

/**
 * The authorization server of somebody else's MCP server: an independent one, RS256, its tokens for one resource each. It takes statements
 * of one issuer in exchange (RFC 8693) and has client credentials; people log in by naming themselves.
 * @param trusts - whose statements it takes
 */
export const startBackendIssuer = async ({
  trusts,
  takesAssertionsOf,
  takesWorkloadsOf,
  bindsTokens = false,
  wantsNonce = false,
  scopes = ['tools.read', 'tools.write', 'offline_access'],
  lifetimeSeconds = 120,
  redirectUris = [],
}: {
  trusts?: { issuerUrl: string; jwksUri: string };
  /** Whose assertions about people it takes (ID-JAG). */
  takesAssertionsOf?: { issuer: string; jwksUri: string };
  /** Whose JWTs about workloads it takes, and from which subject (RFC 7523). */
  takesWorkloadsOf?: { issuer: string; keys: JWTVerifyGetKey; subject: string };
  /** Binds tokens to keys of clients that show one (DPoP), and wants its own nonce in the proofs. */
  bindsTokens?: boolean;
  wantsNonce?: boolean;
  scopes?: string[];
  lifetimeSeconds?: number;
  redirectUris?: string[];
} = {}) => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const key = {
    ...(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as JWK),
    alg: 'RS256',
    use: 'sig',
    kid: 'backend-1',
  };
  const state = { lifetimeSeconds, issuerInMetadata: issuer, fails: false, answers: {} as Record<string, unknown> };
  const statements: JWTPayload[] = [];
  const seen: Seen[] = [];
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: backendClient.id,
        client_secret: backendClient.secret,
        redirect_uris: redirectUris,
        response_types: redirectUris.length > 0 ? ['code'] : [],
        grant_types: [
          'client_credentials',
          tokenExchange,
          jwtBearer,
          ...(redirectUris.length > 0 ? ['authorization_code', 'refresh_token'] : []),
        ],
        token_endpoint_auth_method: 'client_secret_basic',
      },
      {
        ...{ client_id: workloadClient, token_endpoint_auth_method: 'none', grant_types: [jwtBearer] },
        ...{ redirect_uris: [], response_types: [] },
      },
    ],
    cookies: { keys: ['backend'], names: { session: 'backend_session', interaction: 'backend_interaction', resume: 'backend_resume' } },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      dPoP: bindsTokens ? { enabled: true, nonceSecret: Buffer.alloc(32, 5), requireNonce: () => wantsNonce } : { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => {
          throw new errors.InvalidTarget('name the resource');
        },
        getResourceServerInfo: (_context, resource) => ({
          audience: resource,
          scope: scopes.join(' '),
          accessTokenTTL: state.lifetimeSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
        useGrantedResource: () => true,
      },
    },
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' },
    extraTokenClaims: (_context, token) => (token as { extra?: Record<string, unknown> }).extra as never,
    findAccount: async (_context, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: async () => true,
    jwks: { keys: [key] },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ accountId: oidc.session?.accountId ?? '', clientId: oidc.client?.clientId ?? '' });
      const asked = String(oidc.params?.scope ?? '');
      grant.addOIDCScope(asked);
      for (const resource of [oidc.params?.resource ?? []].flat()) grant.addResourceScope(String(resource), asked);
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    scopes,
    ttl: { AccessToken: () => state.lifetimeSeconds, ClientCredentials: () => state.lifetimeSeconds, RefreshToken: 3600, Session: 3600 },
  });
  const mint = async (context: TokenEndpointGrantContext, subject: string, resource: string, scope: string, extra: object) => {
    const resourceServer = new provider.ResourceServer(resource, {
      audience: resource,
      scope: scopes.join(' '),
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg: 'RS256' } },
    });
    const token = new provider.AccessToken({
      client: context.oidc.client,
      resourceServer,
      accountId: subject,
      scope,
      grantId: 'exchange',
      gty: 'token_exchange',
      expiresIn: state.lifetimeSeconds,
      extra,
    } as never);
    context.oidc.entity('AccessToken', token);
    const value = await token.save();
    return { access_token: value, token_type: 'Bearer', expires_in: state.lifetimeSeconds, ...(scope ? { scope } : {}) };
  };
  provider.registerGrantType(
    jwtBearer,
    async (context) => {
      const { assertion, scope = '' } = context.oidc.params as Record<string, string>;
      if (takesWorkloadsOf) {
        const { issuer: whose, keys, subject } = takesWorkloadsOf;
        const checks = { issuer: whose, subject, audience: issuer };
        const { payload } = await jwtVerify(String(assertion), keys, checks).catch(() => {
          throw new errors.InvalidGrant('no workload of theirs');
        });
        context.body = await mint(context, String(payload.sub), String(context.oidc.params?.resource), scope, {});
        return;
      }
      if (!takesAssertionsOf) throw new errors.InvalidGrant('nobody is trusted');
      const { issuer: whose, jwksUri } = takesAssertionsOf;
      const { payload, protectedHeader } = await jwtVerify(String(assertion), createRemoteJWKSet(new URL(jwksUri)), {
        issuer: whose,
        audience: issuer,
      }).catch(() => {
        throw new errors.InvalidGrant('no assertion of theirs');
      });
      if (protectedHeader.typ !== 'oauth-id-jag+jwt' || payload.client_id !== context.oidc.client?.clientId)
        throw new errors.InvalidGrant('no assertion for this client');
      context.body = await mint(context, String(payload.sub), String(payload.resource), scope, {});
    },
    ['assertion', 'scope', 'resource'],
    ['resource'],
  );
  const trusted = trusts && createRemoteJWKSet(new URL(trusts.jwksUri));
  provider.registerGrantType(
    tokenExchange,
    async (context) => {
      const { subject_token: statement, resource, scope } = context.oidc.params as Record<string, string>;
      if (!trusted || !trusts) throw new errors.InvalidGrant('nobody is trusted');
      const { payload } = await jwtVerify(String(statement), trusted, { issuer: trusts.issuerUrl, audience: issuer }).catch(() => {
        throw new errors.InvalidGrant('no statement of theirs');
      });
      statements.push(payload);
      context.body = {
        ...(await mint(context, String(payload.sub), String(resource), scope ?? '', payload.act === undefined ? {} : { act: payload.act })),
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      };
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'resource', 'scope', 'audience'],
    ['resource'],
  );
  provider.use(async (context, next) => {
    if (context.path.startsWith('/interaction/')) {
      const chosen = new URLSearchParams(context.querystring).get('user') ?? 'somebody';
      context.status = 303;
      const { prompt } = await provider.interactionDetails(context.req, context.res);
      const result = prompt.name === 'consent' ? { consent: {} } : { login: { accountId: chosen } };
      context.set('location', await provider.interactionResult(context.req, context.res, result));
      context.body = '';
      return;
    }
    if (state.fails && context.path === '/token') {
      context.status = 503;
      return;
    }
    await next();
    if (context.path === '/token' || context.path === '/token/revocation')
      seen.push({
        ...{ path: context.path, status: context.status, proof: context.get('dpop') || undefined },
        authorization: context.get('authorization') || undefined,
        form: new URLSearchParams((context as { oidc?: { body?: Record<string, string> } }).oidc?.body ?? {}),
      });
    if (context.path === '/token' && context.status === 200) context.body = { ...(context.body as object), ...state.answers };
    if (context.path.startsWith('/.well-known/') && context.status === 200)
      context.body = { ...(context.body as object), issuer: state.issuerInMetadata, code_challenge_methods_supported: ['S256'] };
  });
  const server = createServer(provider.callback()).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    /** What can be spoiled. */
    state,
    /** What was stated about callers, newest last. */
    statements,
    /** Requests at its token and revocation endpoints. */
    seen,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
export type BackendIssuer = Awaited<ReturnType<typeof startBackendIssuer>>;
