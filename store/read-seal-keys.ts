import { sql } from 'drizzle-orm';
import { sealKeys } from '../schema/tables/tables.ts';
import type { Database } from './database.ts';

export type SealKeyRow = { name: string; id: string; wrapped: Buffer | null; retiredAt: Date | null; seals: boolean };

const latest = new WeakMap<Database, { askedAtMs: number; rows: Promise<SealKeyRow[]> }>();

/** Asked once: the library's own promise asks again whenever somebody waits for it. */
const readAll = async (database: Database): Promise<SealKeyRow[]> =>
  await database
    .select({
      name: sealKeys.name,
      id: sealKeys.id,
      wrapped: sealKeys.wrapped,
      retiredAt: sealKeys.retiredAt,
      seals: sql<boolean>`coalesce(${sealKeys.sealsFrom} <= now(), false)`,
    })
    .from(sealKeys)
    .orderBy(sealKeys.sealsFrom);

/**
 * The keys of all names, in the order in which they begin to seal. Rings of one process ask at the same moments and share the answer: of
 * an idle installation those questions were half of all.
 * @param longestAgeMs - so long ago an answer may have been asked for that will do; 0 asks anew
 */
export const readSealKeys = (database: Database, longestAgeMs: number): Promise<SealKeyRow[]> => {
  const askedAtMs = performance.now();
  const known = latest.get(database);
  if (known && askedAtMs - known.askedAtMs < longestAgeMs) return known.rows;
  const rows = readAll(database);
  latest.set(database, { askedAtMs, rows });
  return rows;
};
