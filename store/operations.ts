import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { operations } from '../schema/tables/tables.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditWriter } from './audit-writer.ts';
import { type Database, guarded } from './database.ts';
import { type Beginning, createOperationCommits, type Ending, type Writer } from './operation-commits.ts';
import { isOperation, type OperationKey, openOutcome, operationText, sealOutcome } from './operation-outcome.ts';
import type { ContentKeys } from './secrets/seal.ts';

export type OperationIdentity = OperationKey & {
  target: string;
  argumentsDigest: string;
  /**
   * Whether the caller chose the id and can come back for the outcome; true by default. The id of any other operation is random, so its
   * intent and outcome are rows of the audit alone: there is no retry for which more would have to be kept.
   */
  isNamed?: boolean;
};
export type OperationStart =
  | { kind: 'started' }
  | { kind: 'settled'; outcome: unknown }
  /** It was made, and what it ended with is not kept any more. */
  | { kind: 'forgotten' }
  | { kind: 'in-progress' }
  | { kind: 'unknown' }
  /** Its principal used the id for another call: another tool, or other arguments. */
  | { kind: 'conflict' };

/** The advisory lock that an instance of the gateway holds as long as it lives; Postgres frees it with the connection. */
export const lockKeyOf = (instance: string): string =>
  createHash('sha256').update(`gateway/${instance}`).digest().readBigInt64BE(0).toString();

/** Holds the lock on a connection of its own; call it at the start, and again when the connection was lost. */
export const holdInstanceLock = async (database: Database, instance: string, onLost: () => void): Promise<() => void> => {
  const client = await database.$client.connect();
  let released = false;
  client.on('error', () => {
    if (released) return;
    released = true;
    client.release(true);
    onLost();
  });
  await client.query('select pg_advisory_lock($1::bigint)', [lockKeyOf(instance)]);
  return () => {
    if (released) return;
    released = true;
    client.release(true);
  };
};

/**
 * Operations of one gateway: intents before effects, outcomes after, each with its row of the audit.
 * @param keys - seal the outcomes
 * @param instance - this gateway, which holds the lock of that name
 * @param options.rows - of the same audit, that go along with commits of these
 */
export const createOperationStore = (
  database: Database,
  log: AuditLog,
  keys: ContentKeys,
  instance: string,
  { writer, rows }: { writer?: Writer; rows?: Pick<AuditWriter, 'ride'> } = {},
) => {
  const { commit, close } = createOperationCommits(database, log, writer, rows);
  /** Intents of ours of which nobody can say whether they were committed, because the database went away: their calls were not made. */
  const doubtful = new Set<string>();
  /** Endings of ours of which nobody can say whether they were committed; they are written again until that is known. */
  const doubtfulEnds = new Set<string>();
  const keyOf = ({ org, project, principal, id }: OperationKey): OperationKey => ({ org, project, principal, id });
  const beginningOf = ({ target, argumentsDigest, ...key }: OperationIdentity, state: Beginning['state']): Beginning => ({
    ...keyOf(key),
    target,
    argumentsDigest,
    gatewayInstance: instance,
    state,
  });

  /** What became of an operation that was begun before; undefined where it was released in the meantime. */
  const findEarlier = (identity: OperationIdentity, intent: NewAuditEvent): Promise<OperationStart | undefined> =>
    guarded(() =>
      database.transaction(async (transaction): Promise<OperationStart | undefined> => {
        const { target, argumentsDigest } = identity;
        const [row] = await transaction.select().from(operations).where(isOperation(identity)).for('update');
        if (!row) return undefined;
        if (row.target !== target || row.argumentsDigest !== argumentsDigest) return { kind: 'conflict' };
        if (row.state === 'settled' && row.outcome) return { kind: 'settled', outcome: openOutcome(keys, identity, row.outcome) };
        if (row.state === 'settled') return { kind: 'forgotten' };
        if (row.state === 'unknown') return { kind: 'unknown' };
        if (row.gatewayInstance === instance)
          return doubtful.delete(operationText(identity)) ? { kind: 'started' } : { kind: 'in-progress' };
        const lock = await transaction.execute<{ free: boolean }>(
          sql`select pg_try_advisory_xact_lock(${lockKeyOf(row.gatewayInstance)}::bigint) as free`,
        );
        if (!lock.rows[0]?.free) return { kind: 'in-progress' };
        await transaction.update(operations).set({ state: 'unknown' }).where(isOperation(identity));
        await log.append(transaction, [{ ...intent, kind: 'outcome', outcome: 'unknown', errorCode: 'operation_unknown' }]);
        return { kind: 'unknown' };
      }),
    );

  /**
   * Commits the intent and its audit row, or finds what became of an earlier try with the same id.
   * An intent whose gateway is gone becomes `unknown`, for good: nobody can say whether the call was made.
   */
  const begin = async (identity: OperationIdentity, intent: NewAuditEvent): Promise<OperationStart> => {
    if (identity.isNamed === false) {
      await commit({ event: intent });
      return { kind: 'started' };
    }
    const beginning = beginningOf(identity, 'intent');
    for (;;) {
      const isStarted = await commit({ beginning, event: intent }).catch((error: unknown) => {
        doubtful.add(operationText(identity));
        throw error;
      });
      if (isStarted) return { kind: 'started' };
      const earlier = await findEarlier(identity, intent);
      if (earlier) return earlier;
    }
  };

  /** Whether an operation of ours has ended so: its row of the audit is there then, too. */
  const hasEnded = (identity: OperationIdentity, to: Ending['to']): Promise<boolean> =>
    guarded(async () => {
      const { state, gatewayInstance } = operations;
      const [row] = await database.select({ state, gatewayInstance }).from(operations).where(isOperation(identity));
      if (to === 'released') return row === undefined || row.gatewayInstance !== instance || row.state !== 'intent';
      return row?.state === to || row?.state === 'settled';
    });

  const end = async (identity: OperationIdentity, to: Ending['to'], outcome: string | null, event: NewAuditEvent): Promise<void> => {
    if (identity.isNamed === false) {
      await commit({ event });
      return;
    }
    const name = operationText(identity);
    // an ending whose confirmation was lost took effect: a second row would tell of a second outcome
    if (!doubtfulEnds.has(name) || !(await hasEnded(identity, to))) {
      doubtfulEnds.add(name);
      await commit({ ending: { ...keyOf(identity), to, outcome }, event });
    }
    doubtfulEnds.delete(name);
  };

  return {
    begin,
    /** Commits the outcome and its audit row. An outcome that comes after the operation was called unknown still counts. */
    settle: (identity: OperationIdentity, outcome: unknown, event: NewAuditEvent): Promise<void> => {
      const sealed = identity.isNamed === false ? null : sealOutcome(keys, identity, outcome).toString('base64');
      return end(identity, 'settled', sealed, event);
    },
    /**
     * Commits that nobody knows what became of the call: it was sent, and no answer came. The refusal tells the caller the id, so from
     * here on it stands for this call, named or not.
     */
    markUnknown: async (identity: OperationIdentity, event: NewAuditEvent): Promise<void> => {
      if (identity.isNamed === false) await commit({ beginning: beginningOf(identity, 'unknown'), event });
      else await end(identity, 'unknown', null, event);
    },
    /** Takes back an intent whose call certainly never left: a retry may make it. */
    release: (identity: OperationIdentity, event: NewAuditEvent): Promise<void> => end(identity, 'released', null, event),
    /** Ends the operations' chain of the audit, when nothing is under way any more. */
    close,
  };
};
export type OperationStore = ReturnType<typeof createOperationStore>;
