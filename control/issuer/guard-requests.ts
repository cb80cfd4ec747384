import type { Provider } from 'oidc-provider';

type Middleware = Parameters<Provider['use']>[0];

const metadataPaths: ReadonlySet<string> = new Set(['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']);
const servedPaths: ReadonlySet<string> = new Set([...metadataPaths, '/jwks', '/token']);

/** What the metadata says. There is no authorization endpoint, so RFC 8414 leaves it out; the library would name one. */
const publishedMetadata = (issuerUrl: string, offered: Record<string, unknown>) => ({
  issuer: issuerUrl,
  token_endpoint: `${issuerUrl}/token`,
  jwks_uri: `${issuerUrl}/jwks`,
  grant_types_supported: offered.grant_types_supported,
  response_types_supported: [],
  scopes_supported: ['mcp', 'models'],
  subject_types_supported: offered.subject_types_supported,
  id_token_signing_alg_values_supported: offered.id_token_signing_alg_values_supported,
  token_endpoint_auth_methods_supported: offered.token_endpoint_auth_methods_supported,
});

/**
 * Stands before the library: answers only the issuer's own Host (a rebound name reaches the loopback too), only the four paths that
 * are served, and metadata whose addresses come from the configuration, never from the request.
 * @see https://www.rfc-editor.org/rfc/rfc8414
 */
export const guardRequests = (issuerUrl: string): Middleware => {
  const { host } = new URL(issuerUrl);
  return async (context, next) => {
    // a request target in absolute form would override the Host header
    if (context.req.headers.host?.toLowerCase() !== host || !context.req.url?.startsWith('/')) {
      context.status = 403;
      context.body = { error: 'invalid_request', error_description: 'This host name is not served here.' };
      return;
    }
    if (!servedPaths.has(context.path)) {
      context.status = 404;
      context.body = { error: 'invalid_request', error_description: 'There is nothing at this path.' };
      return;
    }
    await next();
    if (metadataPaths.has(context.path) && context.status === 200 && context.method === 'GET') {
      context.body = publishedMetadata(issuerUrl, context.body as Record<string, unknown>);
    }
  };
};
