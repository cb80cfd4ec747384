import type { NewAuditEvent } from '../schema/audit-event.ts';
import { isPlatformError, PlatformError } from '../schema/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { appendAuditOften } from './audit.ts';
import type { Database } from './database.ts';

export type AuditWriter = ReturnType<typeof createAuditWriter>;

/** Rows in one commit at most. */
const maxBatch = 500;
/** When so many wait, their commit is not put off. */
const fullBatch = 100;

/**
 * Group-commits rows that nobody waits for: those of calls without an effect, and outcomes that nobody can ask for. What comes within
 * `pauseMs` goes into one commit, because that costs as much as a dozen rows, and those who do wait for a commit have the disk meanwhile.
 * While the database is away rows are kept and tried again; when `maxPending` are waiting, calls are refused: no audit, no call.
 */
export const createAuditWriter = ({
  database,
  logger,
  maxPending = 10_000,
  retryDelayMs = 500,
  pauseMs = 5,
  append = (events) => appendAuditOften(database, events),
}: {
  database: Database;
  logger: Logger;
  maxPending?: number;
  retryDelayMs?: number;
  pauseMs?: number;
  append?: (events: NewAuditEvent[]) => Promise<void>;
}) => {
  let pending: NewAuditEvent[] = [];
  let writing: Promise<void> | undefined;
  let closed = false;

  /** One row that the database refuses must not hold up the others: it is written with what it is about, and without the rest. */
  const writeSingly = async (batch: NewAuditEvent[]): Promise<void> => {
    for (const event of batch) {
      try {
        await append([event]);
      } catch (error) {
        if (isPlatformError(error) && error.code === 'store_unavailable') throw error;
        const { kind, org, project, action, decision, decisionId, outcome } = event;
        logger.error({ err: error, decisionId, action }, 'an audit row was refused; what it is about is written without its details');
        await append([{ kind, org, project, action, decision, decisionId, outcome, errorCode: 'row_refused' }]);
      }
    }
  };

  const flush = async (): Promise<void> => {
    while (pending.length > 0) {
      if (pending.length < fullBatch && !closed) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const batch = pending.slice(0, maxBatch);
      try {
        await append(batch);
        pending = pending.slice(batch.length);
      } catch (error) {
        if (isPlatformError(error) && error.code === 'store_unavailable') {
          logger.error({ waiting: pending.length }, 'audit rows could not be written; they are kept and tried again');
          if (closed) throw error;
          await new Promise((resolve) => setTimeout(resolve, retryDelayMs));
        } else {
          await writeSingly(batch);
          pending = pending.slice(batch.length);
        }
      }
    }
  };

  const kick = (): void => {
    writing ??= flush()
      .catch(() => undefined)
      .finally(() => {
        writing = undefined;
        if (pending.length > 0 && !closed) kick();
      });
  };

  return {
    /** Refuses when rows cannot be written down: asked before a call is let through. */
    assertWritable: (): void => {
      if (pending.length >= maxPending)
        throw new PlatformError(
          'store_unavailable',
          'The audit cannot be written at the moment, so no call is let through; try again in a few seconds.',
        );
    },
    write: (event: NewAuditEvent): void => {
      pending.push(event);
      kick();
    },
    /** Waits until what was written before the call is committed. */
    drained: async (): Promise<void> => {
      while (writing) await writing;
    },
    close: async (): Promise<void> => {
      closed = true;
      if (writing) await writing;
      if (pending.length > 0) await flush().catch(() => undefined);
    },
  };
};
