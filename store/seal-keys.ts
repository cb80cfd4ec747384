import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import { opensAtLeastMs, originalKey, type SealedName, SealedNameSchema, type SealKey, SealKeySchema } from '../schema/seal-key.ts';
import { sealKeys } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import { keyIn, sealedTables } from './sealed-tables.ts';

/** Of a table so much is read to count what stands on which key: an index would cost every call of the gateway something. */
const mostBytesRead = 32 * 1024 * 1024;

type Counts = { rows: Map<string, number>; isEstimate: boolean };

/**
 * How many rows stand on each key of a name: counted where the tables are small, and estimated from some of their pages where not.
 * @param mostBytes - of each table that are read
 */
const countRows = async (executor: Executor, name: SealedName, mostBytes: number): Promise<Counts> => {
  const counts: Counts = { rows: new Map(), isEstimate: false };
  for (const { table, column } of sealedTables[name]) {
    const sealed = sql.identifier(column);
    const { rows: sizes } = await executor.execute<{ size: string }>(sql`select pg_relation_size(${table}::regclass) as size`);
    const percent = Math.min(100, (100 * mostBytes) / Math.max(1, Number(sizes[0]?.size)));
    const sample = percent < 100 ? sql`tablesample system (${percent})` : sql``;
    const { rows } = await executor.execute<{ key: string; count: string }>(
      sql`select ${keyIn(sql`${sealed}`)} as key, count(*) as count from ${sql.identifier(table)} ${sample}
          where ${sealed} is not null group by 1`,
    );
    for (const { key, count } of rows) counts.rows.set(key, (counts.rows.get(key) ?? 0) + Math.round((Number(count) * 100) / percent));
    counts.isEstimate ||= percent < 100;
  }
  return counts;
};

type Row = {
  id: string;
  asked_at: string;
  seals_from: string | null;
  retired_at: string | null;
  replaced_at: string | null;
  seals: boolean | null;
};
const instant = (value: string | null): string | null => (value === null ? null : new Date(value).toISOString());

const stateOf = ({ seals_from, retired_at, replaced_at, seals }: Row): SealKey['state'] => {
  if (retired_at !== null) return 'retired';
  if (seals_from === null) return 'asked';
  if (!seals) return 'next';
  return replaced_at === null ? 'active' : 'old';
};

/** Keys of a name, the newest first; the original one is the last, and seals until there is another. */
export const listSealKeys = (executor: Executor, name: SealedName, mostBytes = mostBytesRead): Promise<SealKey[]> =>
  guarded(async () => {
    const counts = await countRows(executor, name, mostBytes);
    const { rows } = await executor.execute<Row>(sql`
      select id, asked_at, seals_from, retired_at, seals_from <= now() as seals,
        (select min(later.seals_from) from seal_keys later
         where later.name = k.name and later.id <> ${originalKey} and later.seals_from <= now() and later.seals_from > k.seals_from) as replaced_at
      from seal_keys k where name = ${name} and id <> ${originalKey} order by seals_from desc nulls first`);
    const { rows: original } = await executor.execute<{ retired_at: string | null; replaced_at: string | null }>(sql`
      select (select retired_at from seal_keys where name = ${name} and id = ${originalKey}) as retired_at,
        (select min(seals_from) from seal_keys where name = ${name} and id <> ${originalKey} and seals_from <= now()) as replaced_at`);
    const first = original[0] ?? { retired_at: null, replaced_at: null };
    return [
      ...rows.map((row) => ({
        id: row.id,
        state: stateOf(row),
        madeAt: instant(row.asked_at),
        replacedAt: instant(row.replaced_at),
        retiredAt: instant(row.retired_at),
      })),
      {
        id: originalKey,
        state: first.retired_at !== null ? 'retired' : first.replaced_at === null ? 'active' : 'old',
        madeAt: null,
        replacedAt: instant(first.replaced_at),
        retiredAt: instant(first.retired_at),
      },
    ].map((key) => SealKeySchema.parse({ ...key, name, rows: counts.rows.get(key.id) ?? 0, isEstimate: counts.isEstimate }));
  });

export const listAllSealKeys = async (executor: Executor): Promise<SealKey[]> => {
  const keys: SealKey[] = [];
  for (const name of SealedNameSchema.options) keys.push(...(await listSealKeys(executor, name)));
  return keys;
};

/**
 * Asks for another key of a name. Whoever holds the wrapping key makes it, and it seals once everybody has read it.
 * @returns its id; that of one that is on its way already where there is one
 */
export const askForSealKey = (within: Executor, name: SealedName): Promise<string> =>
  guarded(async () => {
    const id = randomBytes(8).toString('hex');
    const [made] = await within.insert(sealKeys).values({ name, id }).onConflictDoNothing().returning({ id: sealKeys.id });
    if (made) return made.id;
    const { rows } = await within.execute<{ id: string }>(
      sql`select id from seal_keys where name = ${name} and seals_from is null and retired_at is null`,
    );
    return rows[0]?.id ?? askForSealKey(within, name);
  });

/**
 * Destroys a key that nothing needs any more. Every row is looked at for that, so it takes its time where there are many.
 * @param options.opensAtLeastMs - how long after it sealed last it opens in any case: clients hold sealed texts that no row knows of
 * @throws {PlatformError} `not_found`, `conflict`
 */
export const retireSealKey = (
  within: Executor,
  { name, id }: Pick<SealKey, 'name' | 'id'>,
  now: Date,
  atLeastMs = opensAtLeastMs,
): Promise<void> =>
  guarded(async () => {
    const key = (await listSealKeys(within, name, Number.POSITIVE_INFINITY)).find((each) => each.id === id);
    if (!key) throw new PlatformError('not_found', `There is no key ${name}/${id}; \`quarterdeck keys ls\` lists them.`);
    const refuse = (why: string): never => {
      throw new PlatformError('conflict', `The key ${name}/${id} cannot be retired: ${why}`);
    };
    if (key.state === 'retired') return;
    if (key.state !== 'old') refuse(`it is ${key.state}; make another one first (\`quarterdeck keys rotate ${name}\`).`);
    if (key.rows > 0) refuse(`${key.rows} rows still stand on it; they are sealed anew in the background (\`quarterdeck keys ls\`).`);
    const from = new Date(Date.parse(key.replacedAt as string) + atLeastMs);
    if (from > now) refuse(`clients may hold texts that it sealed until ${from.toISOString()}.`);
    await within
      .insert(sealKeys)
      .values({ name, id, retiredAt: now })
      .onConflictDoUpdate({ target: [sealKeys.name, sealKeys.id], set: { wrapped: null, retiredAt: now } });
  });
