import type { NewAuditEvent } from '../schema/audit-event.ts';
import { PlatformError } from '../schema/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { ChainPlace } from './audit-chain.ts';
import { copyLink } from './audit-copy.ts';
import { isInDoubt } from './audit-epoch.ts';
import type { AuditLog } from './audit-log.ts';
import { createRides, type Doubt, type Riders } from './audit-rides.ts';
import type { AuditEntry } from './audit-rows.ts';
import { type Database, guarded } from './database.ts';

export type AuditWriter = ReturnType<typeof createAuditWriter>;
/** Commits rows as one link of a chain; `earlier` as for `commitLink`. @returns the hash of the link */
type Append = (entries: readonly AuditEntry[], at: ChainPlace, earlier?: Buffer) => Promise<Buffer>;

/** Rows in one commit at most. */
const maxBatch = 500;
/** When so many wait, their commit is not put off. */
const fullBatch = 100;

/** SQLSTATE classes of what is wrong with a row itself: its values, what they stand beside, and its size. */
const refusesRow = /^(22|23|54)/;

/** Whatever else keeps the database from writing, such as a lock or a right that is not there, says nothing of the row: that is tried again. */
const keepUnlessRefused = (error: unknown): never => {
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || refusesRow.test(code)) throw error;
  throw new PlatformError('store_unavailable', 'The audit cannot be written at the moment; try again in a few seconds.', {
    cause: new Error(`the database answers ${code}`),
  });
};

/**
 * Group-commits rows that nobody waits for: those of calls without an effect, and outcomes that nobody can ask for. What comes within
 * `pauseMs` goes into one commit, because that costs as much as a dozen rows, and those who do wait for a commit have the disk meanwhile.
 * Each commit is a link of this writer's chain. While the database is away rows are kept, and the very same commit is tried again, which
 * takes effect once; when `maxPending` are waiting, calls are refused: no audit, no call.
 */
export const createAuditWriter = ({
  database,
  log,
  logger,
  maxPending = 10_000,
  retryDelayMs = 500,
  pauseMs = 5,
  append = (entries, at, earlier) => guarded(() => copyLink(database.$client, entries, at, earlier).catch(keepUnlessRefused)),
}: {
  database: Database;
  log: AuditLog;
  logger: Logger;
  maxPending?: number;
  retryDelayMs?: number;
  pauseMs?: number;
  append?: Append;
}) => {
  const epoch = log.openEpoch();
  let pending: AuditEntry[] = [];
  /** Rows that this writer is writing. */
  let underWay = 0;
  /** A row was refused beside others: it is to be found here, and not to be taken along again before that. */
  let isRefusedAmong = false;
  const rides = createRides({
    onRefused: (entries) => {
      pending = [...entries, ...pending];
      isRefusedAmong = true;
      kick();
    },
    onDoubt: () => kick(),
  });
  let writing: Promise<void> | undefined;
  let closed = false;

  const commit = (entries: readonly AuditEntry[]): Promise<void> =>
    epoch.append(async (at) => ({ hash: await append(entries, at), result: undefined }));

  /** One row that the database refuses must not hold up the others: it is written with what it is about, and without the rest. */
  const writeSingly = async (batch: readonly AuditEntry[]): Promise<void> => {
    for (const entry of batch) {
      try {
        await untilWritten([entry]);
      } catch (error) {
        if (isInDoubt(error)) throw error;
        const { kind, org, project, action, decision, decisionId, outcome } = entry.event;
        logger.error({ err: error, decisionId, action }, 'an audit row was refused; what it is about is written without its details');
        const event: NewAuditEvent = { kind, org, project, action, decision, decisionId, outcome, errorCode: 'row_refused' };
        await untilWritten([{ event, atMs: entry.atMs }]).catch((second: unknown) => {
          if (isInDoubt(second)) throw second;
          // not even that can be written; whoever waits behind it has an audit to write, too
          logger.error({ err: second, decisionId, action }, 'an audit row was refused twice, and is not written');
        });
      }
    }
  };

  /** The same rows at the same place until it is known that they are there; gives up only when the process ends. */
  const untilWritten = (batch: readonly AuditEntry[]): Promise<void> => untilKnown(() => commit(batch));

  const untilKnown = async (write: () => Promise<unknown>): Promise<void> => {
    for (;;) {
      try {
        await write();
        return;
      } catch (error) {
        if (!isInDoubt(error) || closed) throw error;
        logger.error({ waiting: pending.length }, 'audit rows could not be written; they are kept and tried again');
        await new Promise((resolve) => setTimeout(resolve, retryDelayMs));
      }
    }
  };

  const settle = async ({ entries, place, hash }: Doubt): Promise<void> => {
    try {
      await untilKnown(() => append(entries, place, hash));
    } catch (error) {
      if (isInDoubt(error)) throw error;
      // refused, so that the commit of which they were a part was refused as well
      pending = [...entries, ...pending];
    }
  };

  /** Pseudonyms may have to be asked for, so this waits for the database too. */
  const prepare = async (batch: readonly AuditEntry[]): Promise<void> => {
    for (;;) {
      try {
        return await log.prepare(batch);
      } catch (error) {
        if (!isInDoubt(error) || closed) throw error;
        await new Promise((resolve) => setTimeout(resolve, retryDelayMs));
      }
    }
  };

  const flush = async (): Promise<void> => {
    while (pending.length > 0 || rides.hasDoubts) {
      await rides.settle(settle);
      if (pending.length < fullBatch && !closed) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const batch = pending.slice(0, maxBatch);
      // others took them along meanwhile
      if (batch.length === 0) continue;
      pending = pending.slice(batch.length);
      underWay += batch.length;
      try {
        await write(batch);
      } catch (error) {
        pending = [...batch, ...pending];
        throw error;
      } finally {
        underWay -= batch.length;
      }
    }
  };

  const write = async (batch: readonly AuditEntry[]): Promise<void> => {
    await prepare(batch);
    try {
      await untilWritten(batch);
    } catch (error) {
      if (isInDoubt(error)) throw error;
      await writeSingly(batch);
    }
    isRefusedAmong = false;
  };

  const kick = (): void => {
    writing ??= flush()
      .catch((error: unknown) => {
        logger.error({ err: error, waiting: pending.length }, 'audit rows wait, for the database does not take them');
      })
      .finally(() => {
        writing = undefined;
        if ((pending.length > 0 || rides.hasDoubts) && !closed) kick();
      });
  };

  return {
    /** Refuses when rows cannot be written down: asked before a call is let through. */
    assertWritable: (): void => {
      if (pending.length + underWay + rides.rows >= maxPending)
        throw new PlatformError(
          'store_unavailable',
          'The audit cannot be written at the moment, so no call is let through; try again in a few seconds.',
        );
    },
    write: (event: NewAuditEvent): void => {
      pending.push({ event, atMs: Date.now() });
      kick();
    },
    /**
     * Gives rows away that wait, the oldest first, to a commit that is made anyway and costs as much as dozens of rows.
     * @param most - as many as it can take along
     */
    ride: (most: number): Riders | undefined => {
      if (pending.length === 0 || isRefusedAmong || closed) return undefined;
      const entries = pending.slice(0, most);
      pending = pending.slice(entries.length);
      return rides.begin(entries);
    },
    /** Waits until what was written before the call is committed. */
    drained: async (): Promise<void> => {
      while (writing || rides.isUnderWay) await (writing ?? rides.ended());
    },
    /** Writes what waits, once more where the database is away, and ends the chain. */
    close: async (): Promise<void> => {
      closed = true;
      while (writing || rides.isUnderWay) await (writing ?? rides.ended());
      if (pending.length > 0 || rides.hasDoubts) await flush().catch(() => undefined);
      if (pending.length === 0 && !rides.hasDoubts) await epoch.close(database.$client).catch(() => undefined);
    },
  };
};
