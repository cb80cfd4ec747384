import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider';
import { accessScopes, personTokenLifetimeSeconds, readResource } from '../../schema/access-token.ts';
import type { Database } from '../../store/database.ts';
import { isPersonHalted } from '../../store/halts.ts';
import { findPerson } from '../../store/people.ts';
import { createClientFinder } from './create-client-finder.ts';
import { devicePages } from './device-pages.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import type { IssuerConfig } from './issuer-config.ts';
import { logoutPage, messagePage, pageHeaders } from './pages.ts';
import { commandLineClientId, lifetimes, type PeopleConfig, remainingOfLogin } from './people-config.ts';
import { createPostgresAdapter } from './postgres-adapter.ts';
import { faultOfClient } from './self-declared-client.ts';
import { splitAccount } from './split-account.ts';
import { loginPolicy } from './wanted-login.ts';

/** The revision of the draft that is implemented; the library wants it acknowledged. */
const metadataDocumentDraft = 'draft-02';

/** How the grant of a login at another device is called (RFC 8628). */
export const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const commandLineClient = {
  client_id: commandLineClientId,
  client_name: 'Quarterdeck on the command line',
  application_type: 'native' as const,
  // any port of the loopback address (RFC 8252 §7.3)
  redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
  response_types: ['code' as const],
  grant_types: ['authorization_code', 'refresh_token', deviceGrant],
  token_endpoint_auth_method: 'none' as const,
};

/** All scopes there are; which of them a token has is decided by its resource. */
export const publishedScopes = ['openid', ...accessScopes];

/**
 * What the authorization server does for people: authorization code with PKCE by S256 alone, tokens for one resource each, refresh
 * tokens that are used once (a second use ends all that came from the login), revocation, logout.
 * @see https://www.rfc-editor.org/rfc/rfc9700 for why each of these
 */
export const peopleFeatures = (
  { resourceBase, signingKeys }: Pick<IssuerConfig, 'resourceBase' | 'signingKeys'>,
  { people, database, guardedFetch }: { people: PeopleConfig; database: Database; guardedFetch: GuardedFetch },
) => {
  const { apiResource, allowsRegistration } = people;
  const kid = signingKeys[0]?.kid;

  const features = {
    clientIdMetadataDocument: {
      enabled: true,
      ack: metadataDocumentDraft,
      allowClient: (
        _context: unknown,
        client: { redirectUris?: readonly string[] | undefined; grantTypes?: readonly string[] | undefined },
      ) => faultOfClient({ redirectUris: client.redirectUris ?? [], grantTypes: client.grantTypes ?? [], secret: undefined }) === undefined,
    },
    // a client that makes proofs gets tokens that are bound to its key, and a code that its `dpop_jkt` binds is for that key alone (RFC 9449 §10)
    dPoP: { enabled: true, allowReplay: false },
    deviceFlow: { enabled: true, ...devicePages },
    registration: { enabled: allowsRegistration, initialAccessToken: false },
    resourceIndicators: {
      enabled: true,
      // a token without an audience would be good anywhere, so the client has to say where it goes (RFC 8707 §2)
      defaultResource: (_context: unknown, _client: unknown, oneOf?: readonly string[]): readonly string[] => {
        if (oneOf !== undefined) return oneOf;
        throw new errors.InvalidTarget('name the resource that the token is for');
      },
      getResourceServerInfo: (_context: unknown, resource: string) => {
        const found = readResource(resource, { gatewayUrl: resourceBase, apiResource });
        if (found === undefined) throw new errors.InvalidTarget('no protected resource of this installation has that URL');
        return {
          audience: found.audience,
          scope: found.scope,
          accessTokenTTL: personTokenLifetimeSeconds,
          accessTokenFormat: 'jwt' as const,
          jwt: { sign: { alg: 'ES256' as const, ...(kid === undefined ? {} : { kid }) } },
        };
      },
      useGrantedResource: () => true,
    },
    revocation: {
      enabled: true,
      // somebody else's token is left alone, and nobody is told whether there is one (RFC 7009 §2.1)
      allowedPolicy: (_context: unknown, client: { clientId: string }, token: { clientId?: string | undefined }) =>
        token.clientId === client.clientId,
    },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (context: KoaContextWithOIDC, form: string) => {
        context.set(pageHeaders());
        context.body = logoutPage(form);
      },
      postLogoutSuccessSource: (context: KoaContextWithOIDC) => {
        context.set(pageHeaders());
        context.body = messagePage('You are logged out', 'Your tokens are refused everywhere within five seconds.');
      },
    },
  };

  return {
    adapter: createPostgresAdapter(database, createClientFinder(database, people.secrets), people.deviceCodeKey),
    clients: [commandLineClient],
    features,
    cookieKeys: [people.cookieKey],
    fetch: guardedFetch,
    findAccount: async (_context: unknown, subject: string) => {
      const names = splitAccount(subject);
      const person = names && (await findPerson(database, names.org, names.id));
      // whoever is halted gets no token until that is lifted; logins stay as they are
      if (!person || person.disabled || (await isPersonHalted(database, person.org, person.id))) return undefined;
      return { accountId: subject, claims: async () => ({ sub: subject }) };
    },
    interactions: { policy: loginPolicy(), url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    issueRefreshToken: async (_context: unknown, client: { grantTypeAllowed(type: string): boolean }) =>
      client.grantTypeAllowed('refresh_token'),
    pkce: { required: () => true },
    responseTypes: ['code' as const],
    renderError: (context: KoaContextWithOIDC, out: { error: string; error_description?: string | undefined }) => {
      if (context.accepts('json', 'html') !== 'html') {
        context.type = 'json';
        context.body = out;
        return;
      }
      context.set(pageHeaders());
      context.body = messagePage('The request cannot be answered', out.error_description ?? out.error);
    },
    rotateRefreshToken: true,
    scopes: publishedScopes,
    ttl: {
      AuthorizationCode: lifetimes.code,
      DeviceCode: lifetimes.device,
      Grant: lifetimes.login,
      IdToken: lifetimes.interaction,
      Interaction: lifetimes.interaction,
      RefreshToken: (_context: unknown, token: { authTime?: number | undefined }) => remainingOfLogin(token.authTime, lifetimes.idle),
      Session: (_context: unknown, session: { loginTs?: number | undefined }) => remainingOfLogin(session.loginTs, lifetimes.idle),
    },
  } satisfies Partial<Configuration> & { cookieKeys: string[]; fetch: GuardedFetch };
};
