import { generateKeyPairSync } from 'node:crypto';
import { type JWK, Provider } from 'oidc-provider';
import type { DevIdpConfig, DevPeople } from './dev-idp-config.ts';
import { createMemoryAdapter } from './memory-adapter.ts';

const loginSeconds = 600;

/** Its own key, made anew at each start: nothing it signed has to be believed after that. */
const makeKey = (): JWK => ({
  ...(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JWK),
  alg: 'ES256',
  use: 'sig',
  kid: 'dev',
});

/** An OpenID provider with one client and nothing kept beyond the process: records live in memory, a login ten minutes. */
export const createDevProvider = ({ issuerUrl, client, cookieKey }: DevIdpConfig, people: DevPeople): Provider => {
  const cookie = { httpOnly: true, sameSite: 'lax' as const, signed: true };
  return new Provider(issuerUrl, {
    adapter: createMemoryAdapter(),
    claims: { openid: ['sub'], profile: ['name', 'groups', 'roles'] },
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: [client.redirectUri],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    clientAuthMethods: ['client_secret_post'],
    clientBasedCORS: () => false,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    conformIdTokenClaims: false,
    // one host, many ports, one cookie jar: the issuer's cookies have other names
    cookies: {
      keys: [cookieKey],
      names: { session: 'quarterdeck_dev_session', interaction: 'quarterdeck_dev_interaction', resume: 'quarterdeck_dev_resume' },
      long: cookie,
      short: cookie,
    },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
    },
    findAccount: async (_context, id) => {
      const person = await people.find(id);
      return person && { accountId: id, claims: async () => ({ sub: id, name: id, groups: person.groups, roles: person.roles }) };
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    jwks: { keys: [makeKey()] },
    // its one client is the installation itself, so nobody is asked whether it may know who they are
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        accountId: oidc.session?.accountId ?? '',
        clientId: oidc.client?.clientId ?? '',
      });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
    renderError: (context, out) => {
      context.type = 'json';
      context.body = out;
    },
    responseTypes: ['code'],
    scopes: ['openid', 'profile', 'email'],
    subjectTypes: ['public'],
    ttl: {
      AccessToken: 60,
      AuthorizationCode: 60,
      Grant: loginSeconds,
      IdToken: 300,
      Interaction: loginSeconds,
      Session: loginSeconds,
    },
  });
};
