import { randomBytes, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { authorizationCodeGrant } from 'openid-client';
import type { AuditLog } from '../../store/audit-log.ts';
import type { GrantStore, NewGrant } from '../../store/backend-grants.ts';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, findIssuerRecord } from '../../store/issuer-records.ts';
import { attemptModel, consentModel, digestOf, type GrantAttempt, GrantAttemptSchema, grantCookieName } from './begin-grant.ts';
import type { BindToken } from './bind-token.ts';
import { configurationFor } from './client-configuration.ts';
import type { FindAuthorization } from './create-authorization-finder.ts';
import type { GrantEnding } from './end-grant.ts';
import type { GrantClients } from './grant-client.ts';
import { grantTokens } from './grant-tokens.ts';
import { LoginFailed } from './login-failed.ts';
import { findProtectedServer, isOfKind, type OfKind } from './protected-server.ts';

/** Longer than a renewal takes. */
const mostTries = 100;
const betweenTriesMs = 250;

const newDecisionId = (): string => `dec_${randomBytes(9).toString('base64url')}`;

const over = (detail: string) => new LoginFailed('This was not begun here, or is over. Begin again.', detail);

/**
 * Ends a grant with what its issuer answered: once, for the browser in which the person agreed, and only by the issuer that they were sent
 * to (RFC 9207: an `iss` that is another, or missing where it was promised, ends it before the code is sent anywhere).
 */
export const createGrantEnd = ({
  database,
  store,
  findAuthorization,
  clients,
  bind,
  ending,
  issuerUrl,
  clock,
  audit,
  wait = sleep,
}: {
  database: Database;
  store: GrantStore;
  findAuthorization: FindAuthorization;
  clients: GrantClients;
  bind: BindToken;
  ending: Pick<GrantEnding, 'endRevoked'>;
  issuerUrl: string;
  clock: () => Date;
  audit: Pick<AuditLog, 'append'> | undefined;
  wait?: (ms: number) => Promise<unknown>;
}) => {
  const take = async (state: string, cookieOf: (name: string) => string | undefined): Promise<GrantAttempt> => {
    const read = GrantAttemptSchema.safeParse(await findIssuerRecord(database, attemptModel, { value: state }));
    if (!read.success) throw over('unknown state');
    const cookie = cookieOf(grantCookieName(state, issuerUrl.startsWith('https:')));
    if (cookie === undefined || !timingSafeEqual(digestOf(cookie), Buffer.from(read.data.browser, 'base64url')))
      throw over('the state belongs to another browser');
    if (!(await consumeIssuerRecord(database, attemptModel, state))) throw over('the state was used already');
    const consent = await findIssuerRecord(database, consentModel, { value: read.data.consent });
    if (consent?.account !== read.data.account) throw over('nobody agreed to it');
    return read.data;
  };

  /** What the person took back in the last moment is ended first, even if that is being renewed just now. */
  const put = async (server: OfKind<'userGrant'>, grant: NewGrant): Promise<void> => {
    for (let tries = 0; !(await store.put(grant)); tries += 1) {
      if (tries >= mostTries) throw over('the grant before was taken back just now');
      if (tries > 0) await wait(betweenTriesMs);
      await ending.endRevoked(server, grant.personId);
    }
  };

  /**
   * @param currentUrl - as the browser called it, under our own origin
   * @returns whose grant it is, and at which server
   * @throws {LoginFailed}
   */
  return async (currentUrl: URL, cookieOf: (name: string) => string | undefined) => {
    const [state, ...more] = currentUrl.searchParams.getAll('state');
    if (state === undefined || more.length > 0) throw over('no state');
    const attempt = await take(state, cookieOf);
    const { org, project, name, uid, url, issuer, resource, account } = attempt;
    const server = await findProtectedServer(database, { org, project, name }).catch(() => undefined);
    if (!server || !isOfKind(server, 'userGrant') || server.uid !== uid || server.url !== url) throw over('the server was declared anew');
    try {
      const found = await findAuthorization(server, { bound: issuer });
      const configuration = configurationFor(found.metadata, await clients(server, found, { registers: false }), found.fetch);
      const checks = { expectedState: state, pkceCodeVerifier: attempt.verifier };
      const personId = account.slice(org.length + 1);
      // taken back while the person was away
      await ending.endRevoked(server, personId);
      const { proofKey, options } = await bind(configuration, found);
      const tokens = await authorizationCodeGrant(configuration, currentUrl, checks, { resource }, options);
      // first on record, as everything that changes who may do what
      await audit?.append(database, [
        {
          ...{ org, project, kind: 'change', action: 'connectServer', decision: 'allow', decisionId: newDecisionId(), policies: [] },
          ...{ person: personId, resource: `McpServer/${name}`, outcome: 'ok' },
          facts: { change: 'connected', issuer, scopes: attempt.scopes },
        },
      ]);
      await put(server, {
        ...{ org, project, server: name, personId, serverUid: uid, url, issuer, resource },
        scopes: tokens.scope === undefined ? attempt.scopes : tokens.scope.split(' ').filter(Boolean),
        tokens: grantTokens(tokens, { proofKey }),
        expiresAt: tokens.expires_in === undefined ? null : new Date(clock().getTime() + tokens.expires_in * 1000),
      });
    } catch (error) {
      if (error instanceof LoginFailed) throw error;
      throw new LoginFailed(`${name} was not connected. Begin again, or ask whoever runs it.`, error);
    }
    return { name, account };
  };
};
export type GrantEnd = ReturnType<typeof createGrantEnd>;
