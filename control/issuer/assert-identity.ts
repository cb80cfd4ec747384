import { decodeJwt, decodeProtectedHeader } from 'jose';
import { allowInsecureRequests, type Configuration, discovery, genericGrantRequest, None, refreshTokenGrant } from 'openid-client';
import { PlatformError } from '../../schema/errors.ts';
import type { Database } from '../../store/database.ts';
import type { AssertionStore, IdentityAssertion } from '../../store/identity-assertions.ts';
import { findResource } from '../../store/resources.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import { tokenFailure } from './credential-of.ts';
import { tokenExchangeGrant } from './exchange-run-token.ts';
import type { OfKind } from './protected-server.ts';

const idJagType = 'urn:ietf:params:oauth:token-type:id-jag';
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token';
const idJagHeader = 'oauth-id-jag+jwt';
const answerWithinSeconds = 10;
const configurationMaxAgeMs = 300_000;
/** One that ends so soon is renewed first. */
const endingMs = 30_000;

const refused = ({ name }: OfKind<'idJag'>, what: string, cause?: unknown) =>
  new PlatformError('credential_refused', `There is no token for the MCP server ${name}: ${what}.`, { cause });

/**
 * Gets assertions about people from their company's identity provider, each for one authorization server and one resource (ID-JAG).
 * @see https://datatracker.ietf.org/doc/draft-ietf-oauth-identity-assertion-authz-grant/
 */
export const createIdentityAsserter = ({
  database,
  store,
  secrets,
  clock,
}: {
  database: Database;
  store: AssertionStore;
  secrets: SecretSources;
  clock: () => Date;
}) => {
  const known = new Map<string, { until: number; configuration: Promise<Configuration> }>();

  const configurationOf = async (server: OfKind<'idJag'>): Promise<Configuration> => {
    const { org, project, auth } = server;
    const provider = await findResource(database, { org, project, kind: 'IdentityProvider', name: auth.identityProvider });
    if (!provider) throw refused(server, `there is no IdentityProvider ${auth.identityProvider} in ${org}/${project}`);
    const key = `${provider.uid}/${provider.generation}`;
    const before = known.get(key);
    if (before && before.until > clock().getTime()) return before.configuration;
    const { issuer, clientId, clientSecret } = provider.spec;
    const secret =
      clientSecret &&
      (await resolveSecret(clientSecret, secrets, {
        org,
        project,
        kind: 'IdentityProvider',
        name: auth.identityProvider,
        field: 'clientSecret',
      }));
    const configuration = discovery(new URL(issuer), clientId, secret, secret === undefined ? None() : undefined, {
      timeout: answerWithinSeconds,
      ...(new URL(issuer).protocol === 'http:' ? { execute: [allowInsecureRequests] } : {}),
    });
    known.set(key, { until: clock().getTime() + configurationMaxAgeMs, configuration });
    configuration.catch(() => known.delete(key));
    return configuration;
  };

  const fresh = async (server: OfKind<'idJag'>, found: IdentityAssertion, configuration: Configuration): Promise<string> => {
    const { idToken, refreshToken } = found.tokens;
    if (found.expiresAt.getTime() - clock().getTime() > endingMs) return idToken;
    const again = 'the login at its identity provider is too long ago; log in again (`quarterdeck login`)';
    if (refreshToken === undefined) throw refused(server, again);
    const tokens = await refreshTokenGrant(configuration, refreshToken).catch((cause: unknown) => {
      throw refused(server, again, cause);
    });
    const claims = tokens.claims();
    if (tokens.id_token === undefined || claims === undefined) throw refused(server, again);
    await store.put({
      ...found,
      expiresAt: new Date(claims.exp * 1000),
      tokens: { idToken: tokens.id_token, refreshToken: tokens.refresh_token ?? refreshToken },
    });
    return tokens.id_token;
  };

  /** It has to be about this use alone: one for another server could be used there in our name. */
  const check = (server: OfKind<'idJag'>, assertion: string, issuer: string, audience: string): string => {
    let isGood = false;
    try {
      const { iss, aud } = decodeJwt(assertion);
      isGood = decodeProtectedHeader(assertion).typ === idJagHeader && iss === issuer && aud === audience;
    } catch {
      // no JWT at all
    }
    if (!isGood) throw refused(server, `${issuer} gave an assertion that is not one for ${audience}`);
    return assertion;
  };

  /**
   * @param personId - undefined: of whoever logged in last, to look at what the server offers
   * @param options.audience - issuer of the server's authorization server
   * @returns the assertion, compact JWS; it goes to that authorization server and nowhere else
   */
  return async (
    server: OfKind<'idJag'>,
    personId: string | undefined,
    { audience, resource, scope }: { audience: string; resource: string; scope: string | undefined },
  ): Promise<string> => {
    const { org, project, auth } = server;
    const found = await store.find({ org, project, provider: auth.identityProvider }, personId);
    const configuration = await configurationOf(server).catch((error: unknown) => {
      if (error instanceof PlatformError) throw error;
      throw new PlatformError('server_unavailable', `The identity provider ${auth.identityProvider} does not answer; try again.`, {
        cause: error,
      });
    });
    const { issuer } = configuration.serverMetadata();
    if (!found || found.issuer !== issuer)
      throw refused(server, `log in once more at ${auth.identityProvider} (\`quarterdeck login\`), so that it can vouch for you there`);
    const tokens = await genericGrantRequest(configuration, tokenExchangeGrant, {
      requested_token_type: idJagType,
      subject_token: await fresh(server, found, configuration),
      subject_token_type: idTokenType,
      audience,
      resource,
      ...(scope === undefined ? {} : { scope }),
    }).catch((error: unknown) => {
      throw tokenFailure(server, configuration, error);
    });
    return check(server, tokens.access_token, issuer, audience);
  };
};
export type AssertIdentity = ReturnType<typeof createIdentityAsserter>;
