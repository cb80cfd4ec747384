import { isPlatformError } from '../../schema/errors.ts';
import type { GrantStore } from '../../store/backend-grants.ts';
import type { Database } from '../../store/database.ts';
import type { AssertionStore } from '../../store/identity-assertions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { GrantEnding } from './end-grant.ts';
import { isGrantOf } from './grant-of.ts';
import { lifetimes } from './people-config.ts';
import { findProtectedServer, isOfKind, type OfKind } from './protected-server.ts';
import type { RefreshGrant } from './renew-grant.ts';

const soonMs = 120_000;
/** An issuer that cannot be told of what was taken back is tried again for so long. */
const longestTellingMs = 3_600_000;

/** Keeps grants fresh before anybody waits for them, and ends at their issuers those that people took back. */
export const keepGrants = ({
  database,
  store,
  assertions,
  refresh,
  ending,
  clock,
  logger,
  intervalMs = 15_000,
}: {
  database: Database;
  store: GrantStore;
  assertions: Pick<AssertionStore, 'removeOld'>;
  refresh: RefreshGrant;
  ending: Pick<GrantEnding, 'endAtIssuer'>;
  clock: () => Date;
  logger: Logger;
  intervalMs?: number;
}): { sweep(): Promise<void>; close(): Promise<void> } => {
  const serverOf = async (key: { org: string; project: string; server: string }): Promise<OfKind<'userGrant'> | undefined> => {
    try {
      const server = await findProtectedServer(database, { ...key, name: key.server });
      return isOfKind(server, 'userGrant') ? server : undefined;
    } catch (error) {
      if (isPlatformError(error) && error.code === 'not_found') return undefined;
      throw error;
    }
  };
  const attempt = async (what: string, server: string, work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (err) {
      logger.info({ err, server }, what);
      return false;
    }
  };

  const sweep = async (): Promise<void> => {
    await assertions.removeOld(lifetimes.login * 1000);
    for (const key of await store.listEnding(soonMs))
      await attempt('a grant could not be renewed; trying again', key.server, async () => {
        const [server, grant] = [await serverOf(key), await store.find(key)];
        if (server && grant?.tokens.refreshToken !== undefined && isGrantOf(server, grant)) await refresh(server, grant, false);
      });
    for (const grant of await store.listRevoked()) {
      const server = await serverOf(grant);
      const isTold =
        !server ||
        (await attempt('an issuer could not be told that a grant was taken back', grant.server, () => ending.endAtIssuer(server, grant)));
      const isLate = clock().getTime() - (grant.revokedAt?.getTime() ?? 0) > longestTellingMs;
      if (isTold || isLate) await store.remove(grant);
    }
  };
  let sweeping: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = sweep().catch((err: unknown) => logger.warn({ err }, 'grants could not be looked after; trying again'));
  }, intervalMs);
  timer.unref();
  return {
    sweep,
    close: async () => {
      clearInterval(timer);
      await sweeping;
    },
  };
};
