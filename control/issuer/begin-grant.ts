import { createHash, randomBytes } from 'node:crypto';
import { buildAuthorizationUrl, calculatePKCECodeChallenge, randomPKCECodeVerifier, randomState } from 'openid-client';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { readChallenge } from '../../schema/token-challenge.ts';
import type { Database } from '../../store/database.ts';
import { putIssuerRecord } from '../../store/issuer-records.ts';
import { type BackendFetch, createBackendFetch } from './backend-fetch.ts';
import { configurationFor } from './client-configuration.ts';
import { connectCallbackPath } from './connect-urls.ts';
import type { Authorization, FindAuthorization } from './create-authorization-finder.ts';
import type { GrantEnding } from './end-grant.ts';
import type { GrantClients } from './grant-client.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import { lifetimes } from './people-config.ts';
import type { OfKind } from './protected-server.ts';
import { wantedScopes } from './wanted-scopes.ts';

export const attemptModel = 'BackendAttempt';
export const consentModel = 'BackendConsent';
const offlineAccess = 'offline_access';

/** What is remembered of a grant under way, under its `state`. */
export const GrantAttemptSchema = z.object({
  account: z.string(),
  org: z.string(),
  project: z.string(),
  name: z.string(),
  uid: z.string(),
  url: z.string(),
  issuer: z.string(),
  resource: z.string(),
  scopes: z.array(z.string()),
  verifier: z.string(),
  consent: z.string(),
  /** SHA-256 of the cookie of the browser that said yes. */
  browser: z.string(),
});
export type GrantAttempt = z.infer<typeof GrantAttemptSchema>;

export const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();
/** One for each grant under way. */
export const grantCookieName = (state: string, isSecure: boolean): string =>
  `${isSecure ? '__Host-' : ''}quarterdeck_grant_${digestOf(state).toString('hex').slice(0, 12)}`;

/** What a server asks for when somebody comes without a token; a ping does nothing wherever it arrives. */
const challengeAt = async ({ url }: Pick<OfKind<'userGrant'>, 'url'>, fetch: BackendFetch) => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'challenge', method: 'ping' }),
  }).catch(() => undefined);
  void response?.body?.cancel().catch(() => undefined);
  return response && readChallenge(response.status, response.headers.get('www-authenticate') ?? undefined);
};

/** What a person would grant: to whom, for what. */
export type GrantPlan = { server: OfKind<'userGrant'>; found: Authorization; scopes: readonly string[] };

/** Works out grants, and sends people who agreed to where they are given. */
export const createGrantBeginning = ({
  database,
  findAuthorization,
  clients,
  ending,
  guardedFetch,
  issuerUrl,
}: {
  database: Database;
  findAuthorization: FindAuthorization;
  clients: GrantClients;
  ending: Pick<GrantEnding, 'endRevoked'>;
  guardedFetch: GuardedFetch;
  issuerUrl: string;
}) => {
  /** @param asked - scopes that the server said it needs beyond the usual ones */
  const plan = async (server: OfKind<'userGrant'>, asked: readonly string[]): Promise<GrantPlan> => {
    const challenge = await challengeAt(server, createBackendFetch(guardedFetch, [server.url]));
    const found = await findAuthorization(server, { bound: server.auth.issuer, metadataUrl: challenge?.metadataUrl, isAnew: true });
    const { metadata } = found;
    if (!metadata.code_challenge_methods_supported?.includes('S256') || metadata.authorization_endpoint === undefined)
      throw new PlatformError(
        'credential_refused',
        `${metadata.issuer} has no authorization by code with PKCE (S256): nobody is sent there.`,
      );
    const scopes = wantedScopes(server, [...new Set([...(challenge?.scopes ?? []), ...asked])], found.scopes);
    // without it a grant would end with its first token; only where the issuer knows it (SEP-2207)
    const isOffline = metadata.scopes_supported?.includes(offlineAccess) === true && !scopes.includes(offlineAccess);
    return { server, found, scopes: isOffline ? [...scopes, offlineAccess] : scopes };
  };

  /** Call it after the person agreed. @returns where the browser goes, and the cookie that it has to bring back */
  const begin = async ({ server, found, scopes }: GrantPlan, account: string) => {
    const { org, project, name, uid, url } = server;
    const { metadata, resource } = found;
    await ending.endRevoked(server, account.slice(org.length + 1));
    const client = await clients(server, found, { registers: true });
    const [state, verifier, cookie, consent] = [
      randomState(),
      randomPKCECodeVerifier(),
      randomBytes(32).toString('base64url'),
      randomBytes(16).toString('base64url'),
    ];
    // first on record that the person agreed, then the way there
    const agreed = { account, server: `${org}/${project}/${name}`, issuer: metadata.issuer, client: client.id, scopes };
    await putIssuerRecord(database, consentModel, consent, agreed, lifetimes.login);
    const attempt: GrantAttempt = {
      ...{ account, org, project, name, uid, url, issuer: metadata.issuer, resource, scopes: [...scopes], verifier, consent },
      browser: digestOf(cookie).toString('base64url'),
    };
    await putIssuerRecord(database, attemptModel, state, attempt, lifetimes.interaction);
    const address = buildAuthorizationUrl(configurationFor(metadata, client, found.fetch), {
      redirect_uri: `${issuerUrl}${connectCallbackPath}`,
      state,
      code_challenge: await calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      resource,
      ...(scopes.length > 0 ? { scope: scopes.join(' ') } : {}),
      ...(scopes.includes(offlineAccess) ? { prompt: 'consent' } : {}),
    });
    return { url: address.href, cookieName: grantCookieName(state, issuerUrl.startsWith('https:')), cookie };
  };

  return { plan, begin };
};
export type GrantBeginning = ReturnType<typeof createGrantBeginning>;
