import { and, eq, isNull, lt, type SQL, sql } from 'drizzle-orm';
import { contents, orgKeys } from '../schema/tables/tables.ts';
import { openContent, sealContent } from './content-seal.ts';
import { type Database, guarded } from './database.ts';
import type { OrgKeys } from './org-keys.ts';
import type { ContentKeys } from './secrets/seal.ts';

const batch = 200;
/** Longer than any process goes on with a key that it knew as active, and any transaction that has used it. */
const graceMs = 600_000;

/**
 * Seals anew what is not sealed with the active key of its org: a little at a time, each row by a statement of its own that changes it only
 * while it is as it was read. So a crash between two rows loses nothing, two who do it at once do no harm, and every row can be read at
 * every moment. A key that seals nothing more is destroyed; what a destroyed key sealed is deleted.
 * @returns does one batch, and says how many rows were sealed anew and how many do not open, which stay as they are
 */
export const createContentResealer = ({
  database,
  keys,
  ring,
  now = Date.now,
}: {
  database: Database;
  keys: ContentKeys;
  ring: OrgKeys;
  now?: () => number;
}) => {
  const { org, project, digest, sealed, keyId } = contents;
  const find = (which: SQL | undefined, limit: number) =>
    database.select({ org, project, digest, sealed, keyId }).from(contents).where(which).limit(limit);

  /** By an index, so that it costs nothing where all is done. */
  const findStale = async () => {
    const rows = await find(isNull(keyId), batch);
    const retired = await database.select().from(orgKeys).where(eq(orgKeys.state, 'retired'));
    for (const key of retired) {
      if (rows.length >= batch) break;
      rows.push(...(await find(and(eq(keyId, key.id), eq(org, key.org)), batch - rows.length)));
    }
    return rows;
  };

  const reseal = async (row: Awaited<ReturnType<typeof findStale>>[number]): Promise<boolean> => {
    const active = await ring.active(row.org, database);
    if (active.id === row.keyId) return false;
    const plain = await openContent({ keys, ring }, row);
    const isSame = and(eq(org, row.org), eq(project, row.project), eq(digest, row.digest), sql`${keyId} is not distinct from ${row.keyId}`);
    const { rowCount } = await database
      .update(contents)
      .set({ sealed: sealContent(active, plain, row), keyId: active.id })
      .where(isSame);
    return rowCount === 1;
  };

  const tidy = async (): Promise<void> => {
    const isUnused = sql`not exists (select from contents c where c.key_id = ${orgKeys.id} and c.org = ${orgKeys.org})`;
    await database
      .update(orgKeys)
      .set({ state: 'destroyed', wrapped: null, destroyedAt: new Date(now()) })
      .where(and(eq(orgKeys.state, 'retired'), lt(orgKeys.retiredAt, new Date(now() - graceMs)), isUnused));
    await database.execute(sql`
      delete from contents where ctid in (
        select c.ctid from org_keys k join contents c on c.key_id = k.id and c.org = k.org where k.state = 'destroyed' limit ${batch})`);
  };

  return (): Promise<{ resealed: number; failed: number }> =>
    guarded(async () => {
      const done = { resealed: 0, failed: 0 };
      for (const row of await findStale())
        try {
          if (await reseal(row)) done.resealed += 1;
        } catch (error) {
          if ((error as { code?: string }).code !== 'secret_unavailable') throw error;
          done.failed += 1;
        }
      await tidy();
      return done;
    });
};
export type ContentResealer = ReturnType<typeof createContentResealer>;
