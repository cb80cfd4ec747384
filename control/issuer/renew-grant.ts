import { setTimeout as sleep } from 'node:timers/promises';
import { ResponseBodyError, refreshTokenGrant } from 'openid-client';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { BackendGrant, GrantStore, RenewalOutcome } from '../../store/backend-grants.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { BindToken } from './bind-token.ts';
import { tokenFailure } from './credential-of.ts';
import { remainingMs } from './grant-of.ts';
import { grantTokens } from './grant-tokens.ts';
import type { OfKind } from './protected-server.ts';
import type { ReachedGrant, ReachGrant } from './reach-grant.ts';

/** Of one attempt to renew a grant: two requests of ten seconds each, for the issuer may want its nonce, and some more. */
const leaseMs = 30_000;
/** After no answer, or one that says nothing of the grant, its refresh token is not shown again so soon. */
const pauseMs = 5_000;
/** For how long, and how often, whoever needs a grant that somebody else renews looks whether that is done. */
const longestWaitMs = 15_000;
const lookEveryMs = 200;
/** So often, and so far apart, an answer is tried to be written down. */
const mostSettleTries = 20;
const betweenSettlesMs = 500;

export type RenewGrantParts = {
  store: GrantStore;
  reach: ReachGrant;
  bind: BindToken;
  clock: () => Date;
  logger: Logger;
  wait?: (ms: number) => Promise<unknown>;
};

/** Makes what renews grants, each by its refresh token. */
export const createGrantRenewal = ({ store, reach, bind, clock, logger, wait = sleep }: RenewGrantParts) => {
  const leftMs = (grant: BackendGrant): number => remainingMs(grant, clock());

  /** Asks the issuer, which may take long. @returns what became of the grant, and the failure that callers hear where it is of no use now */
  const askToRenew = async (
    server: OfKind<'userGrant'>,
    grant: BackendGrant,
    refreshToken: string,
    { found, configuration }: ReachedGrant,
  ): Promise<{ outcome: RenewalOutcome; failure?: PlatformError }> => {
    try {
      const { proofKey, options } = await bind(configuration, found, grant.tokens.proofKey);
      const tokens = await refreshTokenGrant(configuration, refreshToken, { resource: grant.resource }, options);
      const scopes = tokens.scope === undefined ? {} : { scopes: tokens.scope.split(' ').filter(Boolean) };
      const expiresAt = tokens.expires_in === undefined ? null : new Date(clock().getTime() + tokens.expires_in * 1000);
      return { outcome: { kind: 'renewed', tokens: grantTokens(tokens, { refreshToken, proofKey }), expiresAt, ...scopes } };
    } catch (error) {
      if (error instanceof ResponseBodyError && error.error === 'invalid_grant') {
        logger.info({ event: 'grant-ended', server: server.name, issuer: grant.issuer }, 'an issuer has ended a grant');
        return { outcome: { kind: 'ended' } };
      }
      // it may have been renewed and the answer lost: then the same token is shown once more, and it is the issuer's to say what that means
      return { outcome: { kind: 'unanswered', pauseMs }, failure: tokenFailure(server, configuration, error) };
    }
  };

  /** What the issuer answered is nowhere else: a database that is away for a moment does not lose it. */
  const settleSurely = async (grant: BackendGrant, claim: string, outcome: RenewalOutcome): Promise<void> => {
    for (let tries = 1; ; tries += 1)
      try {
        return await store.settle(grant, claim, outcome);
      } catch (error) {
        if (!isPlatformError(error) || error.code !== 'store_unavailable' || tries >= mostSettleTries) throw error;
        await wait(betweenSettlesMs);
      }
  };

  const renewClaimed = async (
    server: OfKind<'userGrant'>,
    { claim, grant }: { claim: string; grant: BackendGrant },
    prepared: PromiseSettledResult<ReachedGrant> | undefined,
    isRefused: boolean,
  ): Promise<BackendGrant | undefined> => {
    const { refreshToken } = grant.tokens;
    const isOver = isRefused || leftMs(grant) <= 0;
    if (refreshToken === undefined || prepared === undefined) {
      await store.settle(grant, claim, { kind: isOver ? 'ended' : 'unchanged' });
      return isOver ? undefined : grant;
    }
    if (prepared.status === 'rejected') {
      await store.settle(grant, claim, { kind: 'unchanged' });
      throw prepared.reason;
    }
    const { outcome, failure } = await askToRenew(server, grant, refreshToken, prepared.value);
    await settleSurely(grant, claim, outcome);
    // one that is still good is used as long as it is
    if (failure && isOver) throw failure;
    return failure ? grant : store.find(grant);
  };

  /**
   * Renews a grant, one at a time over all replicas: whoever waited finds the new token, and a refresh token is never shown twice, but for one
   * whose answer was lost. While the issuer is asked, nothing of the database is held.
   */
  const renew = async (server: OfKind<'userGrant'>, old: BackendGrant, isRefused: boolean): Promise<BackendGrant | undefined> => {
    // what the issuer says of itself is read first: the claim is for the one request that counts
    const prepared = old.tokens.refreshToken === undefined ? undefined : (await Promise.allSettled([reach(server, old, isRefused)]))[0];
    for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
      const claimed = await store.claim(old, leaseMs);
      if (claimed && claimed.grant.tokens.accessToken === old.tokens.accessToken) return renewClaimed(server, claimed, prepared, isRefused);
      if (claimed) await store.settle(claimed.grant, claimed.claim, { kind: 'unchanged' });
      const current = claimed?.grant ?? (await store.find(old));
      if (!current || current.tokens.accessToken !== old.tokens.accessToken || (!isRefused && leftMs(current) > 0)) return current;
      if (waitedMs >= longestWaitMs)
        throw new PlatformError(
          'server_unavailable',
          `The grant for the MCP server ${server.name} is being renewed; try again in a few seconds.`,
        );
      await wait(lookEveryMs);
    }
  };

  const renewing = new Map<string, Promise<BackendGrant | undefined>>();
  /**
   * However many want it in this process, it is renewed once.
   * @param old - as it was found; one that changed since is returned as it is by now
   * @param isRefused - its access token is of no use any more, whatever time it has
   * @returns undefined where it has ended
   * @throws {PlatformError} `credential_refused`, `server_unavailable`, `server_drifted`
   */
  return (server: OfKind<'userGrant'>, old: BackendGrant, isRefused: boolean): Promise<BackendGrant | undefined> => {
    const { org, project, server: name, personId, tokens } = old;
    const key = JSON.stringify([org, project, name, personId, tokens.accessToken, isRefused]);
    const begun = renewing.get(key) ?? renew(server, old, isRefused).finally(() => renewing.delete(key));
    renewing.set(key, begun);
    return begun;
  };
};
export type RefreshGrant = ReturnType<typeof createGrantRenewal>;
