import { proofAlgorithms } from '../../policy/check-token-proof.ts';
import { readResource } from '../../schema/access-token.ts';
import { credentialsPath } from '../../schema/backend-credential.ts';
import { connectPaths } from './connect-urls.ts';
import type { Middleware } from './middleware.ts';
import { publishedScopes } from './people-features.ts';

const metadataPaths: ReadonlySet<string> = new Set(['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']);
const agentPaths: ReadonlySet<string> = new Set([...metadataPaths, '/jwks', '/token']);
/** Where people and their clients go; below `/interaction/` are the pages of one request, below `/auth/` its way back to the client. */
const peoplePaths =
  /^\/(auth(\/[\w-]+)?|device(\/[\w-]+)?|token\/revocation|login\/callback|interaction\/[\w-]+(\/\w+)?|session\/end(\/(confirm|success))?)$/;

type Options = {
  issuerUrl: string;
  hasBackends: boolean;
  people?: { resourceBase: string; apiResource: string; allowsRegistration: boolean } | undefined;
};

/** What the metadata says. Without people there is no authorization endpoint, so RFC 8414 leaves it out; the library would name one. */
const publishedMetadata = ({ issuerUrl, people }: Options, offered: Record<string, unknown>) => ({
  issuer: issuerUrl,
  token_endpoint: `${issuerUrl}/token`,
  jwks_uri: `${issuerUrl}/jwks`,
  grant_types_supported: offered.grant_types_supported,
  response_types_supported: people ? ['code'] : [],
  scopes_supported: people ? publishedScopes : ['mcp', 'models'],
  subject_types_supported: offered.subject_types_supported,
  id_token_signing_alg_values_supported: offered.id_token_signing_alg_values_supported,
  token_endpoint_auth_methods_supported: offered.token_endpoint_auth_methods_supported,
  ...(people && {
    authorization_endpoint: `${issuerUrl}/auth`,
    response_modes_supported: offered.response_modes_supported,
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
    device_authorization_endpoint: `${issuerUrl}/device/auth`,
    // how a company's assertion for a client is called among grants
    authorization_grant_profiles_supported: ['urn:ietf:params:oauth:grant-profile:id-jag'],
    dpop_signing_alg_values_supported: proofAlgorithms,
    revocation_endpoint: `${issuerUrl}/token/revocation`,
    revocation_endpoint_auth_methods_supported: offered.token_endpoint_auth_methods_supported,
    end_session_endpoint: `${issuerUrl}/session/end`,
    client_id_metadata_document_supported: true,
    ...(people.allowsRegistration ? { registration_endpoint: `${issuerUrl}/reg` } : {}),
  }),
});

/** A client that asks for no scope gets what its resources have (RFC 6749 §3.3). */
const withDefaultScope = (search: string, { resourceBase, apiResource }: { resourceBase: string; apiResource: string }): string => {
  const parameters = new URLSearchParams(search);
  if (parameters.has('scope')) return search;
  const places = { gatewayUrl: resourceBase, apiResource };
  const scopes = parameters.getAll('resource').flatMap((resource) => readResource(resource, places)?.scope ?? []);
  if (scopes.length === 0) return search;
  parameters.set('scope', [...new Set(scopes)].join(' '));
  return `?${parameters}`;
};

/**
 * Stands before the library: answers only the issuer's own Host (a rebound name reaches the loopback too), only the paths that are
 * served, and metadata whose addresses come from the configuration, never from the request.
 * @see https://www.rfc-editor.org/rfc/rfc8414
 */
export const guardRequests = (options: Options): Middleware => {
  const { issuerUrl, people, hasBackends } = options;
  const { host } = new URL(issuerUrl);
  const isServed = (path: string): boolean =>
    agentPaths.has(path) ||
    (hasBackends && (path === credentialsPath || (people !== undefined && connectPaths.test(path)))) ||
    (people !== undefined && (peoplePaths.test(path) || (path === '/reg' && people.allowsRegistration)));

  return async (context, next) => {
    // a request target in absolute form would override the Host header
    if (context.req.headers.host?.toLowerCase() !== host || !context.req.url?.startsWith('/')) {
      context.status = 403;
      context.body = { error: 'invalid_request', error_description: 'This host name is not served here.' };
      return;
    }
    if (!isServed(context.path)) {
      context.status = 404;
      context.body = { error: 'invalid_request', error_description: 'There is nothing at this path.' };
      return;
    }
    if (people && context.path === '/auth') context.search = withDefaultScope(context.search, people);
    await next();
    if (metadataPaths.has(context.path) && context.status === 200 && context.method === 'GET') {
      context.body = publishedMetadata(options, context.body as Record<string, unknown>);
    }
  };
};
