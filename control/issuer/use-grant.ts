import { type Configuration, ResponseBodyError, refreshTokenGrant, tokenRevocation } from 'openid-client';
import type { BackendCredential } from '../../schema/backend-credential.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { BackendGrant, GrantKey, GrantStore } from '../../store/backend-grants.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { configurationFor } from './client-configuration.ts';
import { consentUrlOf } from './connect-urls.ts';
import type { FindAuthorization } from './create-authorization-finder.ts';
import { credentialOf, tokenFailure } from './credential-of.ts';
import type { GrantClients } from './grant-client.ts';
import type { OfKind } from './protected-server.ts';

/** The gateway asks again so often, so a grant that is taken back is used no longer. */
const longestUseMs = 10_000;
/** A token that ends so soon is replaced first. */
const endingMs = 60_000;

export type UseGrantParts = {
  store: GrantStore;
  findAuthorization: FindAuthorization;
  clients: GrantClients;
  issuerUrl: string;
  clock: () => Date;
  logger: Logger;
};

export const grantNeeded = (issuerUrl: string, server: OfKind<'userGrant'>, scopes: readonly string[] = []): PlatformError => {
  const consentUrl = consentUrlOf(issuerUrl, server, scopes);
  return new PlatformError(
    'grant_needed',
    `The MCP server ${server.name} has to be connected first. Open ${consentUrl} and allow it; then call again.`,
    {
      facts: { consentUrl },
    },
  );
};

/** Uses what people granted: gives out access tokens, and renews them before they end. */
export const createGrantUse = ({ store, findAuthorization, clients, issuerUrl, clock, logger }: UseGrantParts) => {
  const leftMs = ({ expiresAt }: Pick<BackendGrant, 'expiresAt'>): number =>
    expiresAt === null ? longestUseMs : expiresAt.getTime() - clock().getTime();
  const keyOf = (server: OfKind<'userGrant'>, personId: string): GrantKey => ({
    org: server.org,
    project: server.project,
    server: server.name,
    personId,
  });
  /** Of this very server, as it is declared now. */
  const isOf = (server: OfKind<'userGrant'>, grant: BackendGrant): boolean =>
    grant.serverUid === server.uid && grant.url === server.url && (server.auth.issuer === undefined || server.auth.issuer === grant.issuer);

  const configurationOf = async (server: OfKind<'userGrant'>, grant: BackendGrant, isAnew: boolean): Promise<Configuration> => {
    const found = await findAuthorization(server, { bound: grant.issuer, isAnew });
    return configurationFor(found.metadata, await clients(server, found, { registers: false }), found.fetch);
  };

  /** One at a time: whoever waited finds the new token. */
  const refresh = (server: OfKind<'userGrant'>, old: BackendGrant, isRefused: boolean): Promise<BackendGrant | undefined> =>
    store.change(old, async (grant) => {
      if (grant.tokens.accessToken !== old.tokens.accessToken) return undefined;
      const { refreshToken } = grant.tokens;
      if (refreshToken === undefined) return isRefused || leftMs(grant) <= 0 ? null : undefined;
      const configuration = await configurationOf(server, grant, isRefused);
      try {
        const tokens = await refreshTokenGrant(configuration, refreshToken, { resource: grant.resource });
        return {
          tokens: { accessToken: tokens.access_token, refreshToken: tokens.refresh_token ?? refreshToken },
          expiresAt: tokens.expires_in === undefined ? null : new Date(clock().getTime() + tokens.expires_in * 1000),
          ...(tokens.scope === undefined ? {} : { scopes: tokens.scope.split(' ').filter(Boolean) }),
        };
      } catch (error) {
        if (error instanceof ResponseBodyError && error.error === 'invalid_grant') {
          logger.info({ event: 'grant-ended', server: server.name, issuer: grant.issuer }, 'an issuer has ended a grant');
          return null;
        }
        // one that is still good is used as long as it is
        if (!isRefused && leftMs(grant) > 0) return undefined;
        throw tokenFailure(server, configuration, error);
      }
    });

  /** Where no issuer is declared, the person may agree to another one; what the old one gave never goes there. */
  const stillNamed = async (server: OfKind<'userGrant'>, grant: BackendGrant, isAnew: boolean): Promise<void> => {
    try {
      await findAuthorization(server, { bound: grant.issuer, isAnew });
    } catch (error) {
      if (!isPlatformError(error) || error.code !== 'server_drifted' || server.auth.issuer !== undefined) throw error;
      const consentUrl = consentUrlOf(issuerUrl, server);
      throw new PlatformError(
        'server_drifted',
        `The MCP server ${server.name} no longer names ${grant.issuer}, which you granted at. If that is meant, connect it again: ${consentUrl}`,
        { cause: error, facts: { consentUrl } },
      );
    }
  };

  /**
   * The access token of a person at a server.
   * @param personId - undefined: of whoever granted last, to look at what the server offers
   * @param options.scopes - that the server said it needs
   * @throws {PlatformError} `grant_needed`, `server_drifted`, `server_unavailable`
   */
  const use = async (
    server: OfKind<'userGrant'>,
    personId: string | undefined,
    { scopes, isRefused }: { scopes: readonly string[]; isRefused: boolean },
  ): Promise<BackendCredential> => {
    const found =
      personId === undefined ? await store.findNewest({ ...server, server: server.name }) : await store.find(keyOf(server, personId));
    if (!found || !isOf(server, found)) throw grantNeeded(issuerUrl, server, scopes);
    const isShort = scopes.some((scope) => !found.scopes.includes(scope));
    if (isShort) throw grantNeeded(issuerUrl, server, [...new Set([...found.scopes, ...scopes])]);
    // whatever is stored goes to a server only as long as it names the issuer that it came from
    await stillNamed(server, found, isRefused);
    const grant = isRefused || leftMs(found) < endingMs ? await refresh(server, found, isRefused) : found;
    // whoever waited for another may find what the person agreed to meanwhile: at another server of that name, or at another issuer
    if (!grant || !isOf(server, grant)) throw grantNeeded(issuerUrl, server, scopes);
    if (grant.issuer !== found.issuer) await stillNamed(server, grant, isRefused);
    const credential = credentialOf(server, { access_token: grant.tokens.accessToken, token_type: 'bearer' }, { scopes: [] });
    return { ...credential, lifetimeMs: Math.max(0, Math.min(longestUseMs, leftMs(grant))) };
  };

  /** Tells the issuer that a person took the grant back (RFC 7009); told or not, it is gone here. */
  const endAtIssuer = async (server: OfKind<'userGrant'>, grant: BackendGrant): Promise<void> => {
    const configuration = await configurationOf(server, grant, false);
    if (configuration.serverMetadata().revocation_endpoint === undefined) return;
    const { refreshToken, accessToken } = grant.tokens;
    if (refreshToken !== undefined) await tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' });
    await tokenRevocation(configuration, accessToken, { token_type_hint: 'access_token' });
  };

  return { use, refresh, endAtIssuer, isOf };
};
export type GrantUse = ReturnType<typeof createGrantUse>;
