import { createHash } from 'node:crypto';
import { and, eq, inArray, sql } from 'drizzle-orm';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { operations } from '../schema/tables/tables.ts';
import { appendAudit } from './audit.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

type Key = Tenancy & { id: string };
export type OperationIdentity = Key & { principal: string; target: string; argumentsDigest: string };
export type OperationStart =
  | { kind: 'started' }
  | { kind: 'settled'; outcome: unknown }
  | { kind: 'in-progress' }
  | { kind: 'unknown' }
  /** The id was used for another call: another caller, tool or arguments. */
  | { kind: 'conflict' };

/** The advisory lock that an instance of the gateway holds as long as it lives; Postgres frees it with the connection. */
const lockKeyOf = (instance: string): string => createHash('sha256').update(`gateway/${instance}`).digest().readBigInt64BE(0).toString();

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

export const createOperationStore = (database: Database, keys: ContentKeys, instance: string) => {
  const at = ({ org, project, id }: Key) => and(eq(operations.org, org), eq(operations.project, project), eq(operations.id, id));
  const contextOf = ({ org, project, id }: Key): string => `${org}/${project}/operation/${id}`;

  /**
   * Commits the intent and its audit row, or finds what became of an earlier try with the same id.
   * An intent whose gateway is gone becomes `unknown`, for good: nobody can say whether the call was made. So does an intent
   * of this very instance: the caller asks only when it has no such operation under way.
   */
  const begin = (identity: OperationIdentity, intent: NewAuditEvent): Promise<OperationStart> =>
    guarded(() =>
      database.transaction(async (transaction): Promise<OperationStart> => {
        const { org, project, id, principal, target, argumentsDigest } = identity;
        const inserted = await transaction
          .insert(operations)
          .values({ org, project, id, principal, target, argumentsDigest, state: 'intent', gatewayInstance: instance })
          .onConflictDoNothing()
          .returning({ id: operations.id });
        if (inserted.length > 0) {
          await appendAudit(transaction, [intent]);
          return { kind: 'started' };
        }
        const [row] = await transaction.select().from(operations).where(at(identity)).for('update');
        if (!row || row.principal !== principal || row.target !== target || row.argumentsDigest !== argumentsDigest)
          return { kind: 'conflict' };
        if (row.state === 'settled' && row.outcome)
          return { kind: 'settled', outcome: JSON.parse(unseal(keys, row.outcome, contextOf(identity)).toString()) };
        if (row.state === 'unknown') return { kind: 'unknown' };
        if (row.gatewayInstance === instance) return { kind: 'in-progress' };
        const lock = await transaction.execute<{ free: boolean }>(
          sql`select pg_try_advisory_xact_lock(${lockKeyOf(row.gatewayInstance)}::bigint) as free`,
        );
        if (!lock.rows[0]?.free) return { kind: 'in-progress' };
        await transaction.update(operations).set({ state: 'unknown' }).where(at(identity));
        await appendAudit(transaction, [{ ...intent, kind: 'outcome', outcome: 'unknown', errorCode: 'operation_unknown' }]);
        return { kind: 'unknown' };
      }),
    );

  /** Commits the outcome and its audit row. An outcome that comes after the operation was called unknown still counts. */
  const settle = (key: Key, outcome: unknown, event: NewAuditEvent): Promise<void> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        await transaction
          .update(operations)
          .set({ state: 'settled', outcome: seal(keys, Buffer.from(JSON.stringify(outcome)), contextOf(key)), settledAt: sql`now()` })
          .where(and(at(key), inArray(operations.state, ['intent', 'unknown'])));
        await appendAudit(transaction, [event]);
      }),
    );

  /** Commits that nobody knows what became of the call: it was sent, and no answer came. */
  const markUnknown = (key: Key, event: NewAuditEvent): Promise<void> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        await transaction
          .update(operations)
          .set({ state: 'unknown' })
          .where(and(at(key), eq(operations.state, 'intent')));
        await appendAudit(transaction, [event]);
      }),
    );

  /** Takes back an intent whose call certainly never left: a retry may make it. */
  const release = (key: Key, event: NewAuditEvent): Promise<void> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        await transaction.delete(operations).where(and(at(key), eq(operations.state, 'intent')));
        await appendAudit(transaction, [event]);
      }),
    );

  return { begin, settle, markUnknown, release };
};
export type OperationStore = ReturnType<typeof createOperationStore>;
