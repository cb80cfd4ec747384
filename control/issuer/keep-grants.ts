import { isPlatformError } from '../../schema/errors.ts';
import type { GrantStore } from '../../store/backend-grants.ts';
import type { Database } from '../../store/database.ts';
import type { AssertionStore } from '../../store/identity-assertions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { lifetimes } from './people-config.ts';
import { findProtectedServer, isOfKind, type OfKind } from './protected-server.ts';
import type { GrantUse } from './use-grant.ts';

const soonMs = 120_000;

/** Keeps grants fresh before anybody waits for them, and ends at their issuers those that people took back. */
export const keepGrants = ({
  database,
  store,
  assertions,
  use,
  logger,
  intervalMs = 15_000,
}: {
  database: Database;
  store: GrantStore;
  assertions: Pick<AssertionStore, 'removeOld'>;
  use: GrantUse;
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
  const attempt = async (what: string, server: string, work: () => Promise<unknown>): Promise<void> => {
    await work().catch((err: unknown) => logger.info({ err, server }, what));
  };

  const sweep = async (): Promise<void> => {
    await assertions.removeOld(lifetimes.login * 1000);
    for (const key of await store.listEnding(soonMs))
      await attempt('a grant could not be renewed; trying again', key.server, async () => {
        const [server, grant] = [await serverOf(key), await store.find(key)];
        if (server && grant?.tokens.refreshToken !== undefined && use.isOf(server, grant)) await use.refresh(server, grant, false);
      });
    for (const grant of await store.listRevoked()) {
      const server = await serverOf(grant);
      if (server)
        await attempt('an issuer could not be told that a grant was taken back', grant.server, () => use.endAtIssuer(server, grant));
      await store.remove(grant);
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
