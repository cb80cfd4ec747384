import { type SQL, sql } from 'drizzle-orm';
import { originalKey } from '../schema/seal-key.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Database, type Executor, guarded } from './database.ts';
import type { SealRing } from './seal-ring.ts';
import { keyIn, type SealedTable, sealedTables } from './sealed-tables.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

const batchRows = 100;
const beginning = '(0,0)';

type Found = Record<string, string> & { place: string };
export type RewrapBatch = { rewrapped: number; failed: number; isDone: boolean };

const columnsOf = (names: readonly string[]): SQL =>
  sql.join(
    names.map((name) => sql`${sql.identifier(name)}::text`),
    sql`, `,
  );

/** A row is changed only as it was read; one whose context is of an earlier release gets that of today. */
const rewrap = async (
  within: Executor,
  { table, column, contexts }: SealedTable,
  keys: ContentKeys,
  row: Found,
  sealed: Buffer,
): Promise<void> => {
  const bound = contexts(row);
  let plain: Buffer | undefined;
  let refusal: unknown;
  for (const context of bound)
    try {
      plain ??= unseal(keys, sealed, context);
    } catch (error) {
      refusal ??= error;
    }
  if (!plain) throw refusal;
  const anew = seal(keys, plain, bound[0] as string);
  await within.execute(sql`update ${sql.identifier(table)} set ${sql.identifier(column)} = ${anew} where ctid = ${row.place}::tid`);
};

/**
 * Seals anew what does not stand on the key that seals now: a batch at a time, through each table from its beginning to its end. The rows of a
 * batch are locked, those that others hold are left for the next round, and a batch is committed whole: a kill at any moment leaves every row
 * readable. Of several replicas one works at a time. A row that does not open stays as it is.
 * @returns does one batch; `isDone` once a whole round found nothing
 */
export const createRewrapper = ({ database, ring, logger }: { database: Database; ring: SealRing; logger: Logger }) => {
  const tables = sealedTables[ring.name];
  let index = 0;
  let after = beginning;
  let foundInRound = 0;
  let failedInRound = 0;

  const batch = async (within: Executor, table: SealedTable, current: string): Promise<RewrapBatch> => {
    const column = sql.identifier(table.column);
    const { rows } = await within.execute<Found & { sealed: Buffer }>(sql`
      select ctid::text as place, ${columnsOf(table.columns)}, ${column} as sealed_bytes from ${sql.identifier(table.table)}
      where ctid > ${after}::tid and ${column} is not null and ${keyIn(sql`${column}`)} <> ${current}
      order by ctid limit ${batchRows} for update skip locked`);
    const done = { rewrapped: 0, failed: 0, isDone: false };
    for (const row of rows) {
      const sealed = (row as unknown as { sealed_bytes: Buffer }).sealed_bytes;
      try {
        await rewrap(within, table, ring.keys(table.purpose), row, sealed);
        done.rewrapped += 1;
      } catch (error) {
        if ((error as { code?: string }).code !== 'secret_unavailable') throw error;
        done.failed += 1;
      }
    }
    // the places of rows that were written anew lie behind; they stand on the new key, and are passed over
    after = rows.at(-1)?.place ?? beginning;
    return done;
  };

  return (): Promise<RewrapBatch> =>
    guarded(() =>
      database.transaction(async (within) => {
        const nothing = { rewrapped: 0, failed: 0, isDone: false };
        const current = ring.currentId() ?? originalKey;
        const { rows } = await within.execute<{ mine: boolean }>(
          sql`select pg_try_advisory_xact_lock(hashtextextended(${`rewrap/${ring.name}`}, 7420)) as mine`,
        );
        const table = tables[index];
        if (!rows[0]?.mine || !table) return nothing;
        const done = await batch(within, table, current);
        foundInRound += done.rewrapped;
        failedInRound += done.failed;
        if (after !== beginning) return done;
        index = (index + 1) % tables.length;
        if (index !== 0) return done;
        const isDone = foundInRound === 0;
        if (failedInRound > 0)
          logger.error(
            { event: 'sealed-unreadable', name: ring.name, count: failedInRound },
            'rows do not open with the keys of this installation, and stay as they are',
          );
        foundInRound = 0;
        failedInRound = 0;
        return { ...done, isDone };
      }),
    );
};
export type Rewrapper = ReturnType<typeof createRewrapper>;
