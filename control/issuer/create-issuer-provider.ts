import { randomBytes } from 'node:crypto';
import { type Configuration, errors, Provider } from 'oidc-provider';
import { runTokenLifetimeSeconds } from './decide-run-token.ts';
import { tokenExchangeGrant } from './exchange-run-token.ts';
import type { IssuerConfig } from './issuer-config.ts';
import { createStatelessAdapter } from './stateless-adapter.ts';

/**
 * Builds the authorization server with everything off that the run-token exchange does not need: no interactions, no sessions, no
 * registration, introspection, revocation or userinfo, and one client. Each default that the library marks for development alone
 * is given here, so that it prints no warning.
 */
export const createIssuerProvider = ({ issuerUrl, signingKeys, workerClient }: IssuerConfig): Provider => {
  const configuration: Configuration = {
    adapter: createStatelessAdapter,
    clients: [
      {
        client_id: workerClient.id,
        client_secret: workerClient.secret,
        grant_types: [tokenExchangeGrant],
        response_types: [],
        redirect_uris: [],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    clientAuthMethods: ['client_secret_basic'],
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    // no cookie is ever set; the keys are there so that none could be forged
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    extraTokenClaims: (_context, token) => token.extra,
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      introspection: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      registration: { enabled: false },
      // the exchange checks its one resource itself, against the agent's row
      resourceIndicators: { enabled: false },
      revocation: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    findAccount: async () => undefined,
    jwks: { keys: signingKeys },
    pairwiseIdentifier: () => {
      throw new errors.InvalidRequest('subjects are public here');
    },
    renderError: (context, out) => {
      context.type = 'json';
      context.body = out;
    },
    responseTypes: [],
    scopes: ['mcp', 'models'],
    subjectTypes: ['public'],
    ttl: { AccessToken: runTokenLifetimeSeconds },
  };
  return new Provider(issuerUrl, configuration);
};
