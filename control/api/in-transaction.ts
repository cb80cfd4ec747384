import { sql } from 'drizzle-orm';
import { type Database, guarded } from '../../store/database.ts';

/**
 * Runs several functions of the store in one transaction: a change stands or falls with its audit row.
 * @param options.lockOrg - waits for other changes of this org, so that what is checked inside stays so until the commit
 * @throws {PlatformError} `store_unavailable`, `internal`, and whatever the work throws
 */
export const inTransaction = <T>(
  database: Database,
  work: (within: Database) => Promise<T>,
  { lockOrg }: { lockOrg?: string } = {},
): Promise<T> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      if (lockOrg !== undefined)
        await transaction.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`quarterdeck/change/${lockOrg}`}, 0))`);
      // a transaction is all of a database but its pool, which the store's queries do not touch
      return work(transaction as unknown as Database);
    }),
  );
