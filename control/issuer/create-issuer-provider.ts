import { randomBytes } from 'node:crypto';
import { type Configuration, errors, Provider } from 'oidc-provider';
import { runTokenLifetimeSeconds } from '../../schema/access-token.ts';
import { workerClientId, workerJoinGrant } from '../../schema/worker-proof.ts';
import { tokenExchangeGrant } from './exchange-run-token.ts';
import type { IssuerConfig } from './issuer-config.ts';
import type { peopleFeatures } from './people-features.ts';
import { createStatelessAdapter } from './stateless-adapter.ts';

/** A token of an agent run brings its claims; a person's says whose login it came from, so that it ends with that. */
const extraClaims: Configuration['extraTokenClaims'] = (context, token) => {
  if (token.extra !== undefined || token.kind !== 'AccessToken') return token.extra;
  const { accountId, grantId } = token as { accountId?: string; grantId?: string };
  if (accountId === undefined) return undefined;
  const { AuthorizationCode, DeviceCode, RefreshToken } = context.oidc.entities;
  const { authTime, acr } = RefreshToken ?? AuthorizationCode ?? DeviceCode ?? {};
  const when = authTime === undefined ? {} : { auth_time: authTime, ...(acr === undefined ? {} : { acr }) };
  return { org: accountId.split('/')[0], sid: grantId, ...when };
};

/**
 * Builds the authorization server. Without people everything is off that the run-token exchange does not need: no interactions, no
 * sessions, no registration, introspection, revocation or userinfo, and one client. Each default that the library marks for development
 * alone is given here, so that it prints no warning.
 */
export const createIssuerProvider = (
  { issuerUrl, signingKeys, workers }: IssuerConfig,
  forPeople?: ReturnType<typeof peopleFeatures>,
): Provider => {
  const { features, clients = [], ttl, cookieKeys, ...rest } = forPeople ?? {};
  const isSecure = issuerUrl.startsWith('https:');
  const cookie = { httpOnly: true, sameSite: 'lax' as const, secure: isSecure, signed: true };
  const configuration: Configuration = {
    adapter: createStatelessAdapter,
    clients: [
      {
        client_id: workerClientId,
        grant_types: [tokenExchangeGrant, ...(workers.joinKey === undefined ? [] : [workerJoinGrant])],
        response_types: [],
        redirect_uris: [],
        // there is no secret that could be copied: each request proves which worker sends it
        token_endpoint_auth_method: 'none',
      },
      ...clients,
    ],
    clientAuthMethods: forPeople ? ['none', 'client_secret_basic', 'client_secret_post'] : ['none'],
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: 'ES256', ...(forPeople ? { token_endpoint_auth_method: 'none' as const } : {}) },
    // without people no cookie is ever set; the keys are there so that none could be forged
    cookies: {
      keys: cookieKeys ?? [randomBytes(32).toString('base64url')],
      // other programs on this machine may set cookies for its address; a name of ours is not theirs by chance
      names: {
        session: isSecure ? '__Host-quarterdeck_session' : 'quarterdeck_session',
        interaction: isSecure ? '__Secure-quarterdeck_interaction' : 'quarterdeck_interaction',
        resume: isSecure ? '__Secure-quarterdeck_resume' : 'quarterdeck_resume',
      },
      long: cookie,
      short: cookie,
    },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    extraTokenClaims: extraClaims,
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
      ...features,
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
    ttl: { ...ttl, AccessToken: (_context, token) => token.resourceServer?.accessTokenTTL ?? runTokenLifetimeSeconds },
    ...rest,
  };
  return new Provider(issuerUrl, configuration);
};
