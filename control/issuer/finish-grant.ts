import { randomBytes, timingSafeEqual } from 'node:crypto';
import { authorizationCodeGrant } from 'openid-client';
import type { AuditLog } from '../../store/audit-log.ts';
import type { GrantStore } from '../../store/backend-grants.ts';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, findIssuerRecord } from '../../store/issuer-records.ts';
import { attemptModel, consentModel, digestOf, type GrantAttempt, GrantAttemptSchema, grantCookieName } from './begin-grant.ts';
import { configurationFor } from './client-configuration.ts';
import type { FindAuthorization } from './create-authorization-finder.ts';
import type { GrantClients } from './grant-client.ts';
import { findProtectedServer, isOfKind } from './protected-server.ts';
import { LoginFailed } from './upstream-login.ts';

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
  issuerUrl,
  clock,
  audit,
}: {
  database: Database;
  store: GrantStore;
  findAuthorization: FindAuthorization;
  clients: GrantClients;
  issuerUrl: string;
  clock: () => Date;
  audit: Pick<AuditLog, 'append'> | undefined;
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
      const tokens = await authorizationCodeGrant(configuration, currentUrl, checks, { resource });
      // first on record, as everything that changes who may do what
      await audit?.append(database, [
        {
          ...{ org, project, kind: 'change', action: 'connectServer', decision: 'allow', decisionId: newDecisionId(), policies: [] },
          ...{ person: account.slice(org.length + 1), resource: `McpServer/${name}`, outcome: 'ok' },
          facts: { change: 'connected', issuer, scopes: attempt.scopes },
        },
      ]);
      await store.put({
        ...{ org, project, server: name, personId: account.slice(org.length + 1), serverUid: uid, url, issuer, resource },
        scopes: tokens.scope === undefined ? attempt.scopes : tokens.scope.split(' ').filter(Boolean),
        tokens: {
          accessToken: tokens.access_token,
          ...(tokens.refresh_token === undefined ? {} : { refreshToken: tokens.refresh_token }),
        },
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
