import { randomBytes, randomUUID } from 'node:crypto';
import { and, asc, eq, isNotNull } from 'drizzle-orm';
import { PlatformError } from '../schema/errors.ts';
import { orgKeys } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { type ContentKeys, isWrappedByOther, seal, unseal, wrappingKeys } from './secrets/seal.ts';

/** How long a process goes on with what it knows of a key: so soon a new one is used, and a destroyed one is not. */
const knownMs = 5_000;
/** A key that is younger may still be undone with the transaction that made it. */
const settledMs = 60_000;

type DataKey = { id: string; bytes: Buffer };
type Row = typeof orgKeys.$inferSelect;

const destroyed = (org: string): PlatformError =>
  new PlatformError('secret_unavailable', `The keys of ${org} were destroyed, and what was kept with them cannot be read by anybody.`);

/**
 * The keys of orgs, as one process uses them: one that is active for each org, made at the first use, and those before it as long as
 * something is sealed with them.
 * @param keys - the installation's; the key that wraps them is made from it
 */
export const createOrgKeys = (database: Database, keys: ContentKeys, now: () => number = Date.now) => {
  const wrapping = wrappingKeys(keys);
  const known = new Map<string, { key: DataKey; until: number }>();
  const contextOf = (org: string, id: string): string => `org-keys/${org}/${id}`;

  const open = ({ org, id, wrapped, state }: Pick<Row, 'org' | 'id' | 'wrapped' | 'state'>): DataKey => {
    if (state === 'destroyed' || wrapped === null) throw destroyed(org);
    return { id, bytes: unseal(wrapping, wrapped, contextOf(org, id)) };
  };

  const keep = (place: string, row: Row): DataKey => {
    const key = open(row);
    if (now() - row.createdAt.getTime() > settledMs) known.set(place, { key, until: now() + knownMs });
    return key;
  };

  const fresh = (org: string): { row: typeof orgKeys.$inferInsert; key: DataKey } => {
    const key = { id: `key_${randomUUID().replaceAll('-', '')}`, bytes: randomBytes(32) };
    return { key, row: { org, id: key.id, state: 'active', wrapped: seal(wrapping, key.bytes, contextOf(org, key.id)) } };
  };

  /** The active key, or where there is none any other: seen in one look, since others may make and rotate keys meanwhile. */
  const findFirst = async (executor: Executor, org: string): Promise<Row | undefined> =>
    (await executor.select().from(orgKeys).where(eq(orgKeys.org, org)).orderBy(asc(orgKeys.state)).limit(1))[0];

  return {
    /**
     * The key that seals what comes now.
     * @param executor - of the caller's transaction: no second connection is asked for while one is held
     * @throws {PlatformError} `secret_unavailable` where the keys of the org were destroyed
     */
    active: async (org: string, executor: Executor): Promise<DataKey> => {
      const last = known.get(org);
      if (last && now() < last.until) return last.key;
      const row = await findFirst(executor, org);
      if (row && row.state !== 'active') throw destroyed(org);
      if (row) return keep(org, row);
      const { row: made, key } = fresh(org);
      const [own] = await executor.insert(orgKeys).values(made).onConflictDoNothing().returning();
      if (own) return key;
      const theirs = await findFirst(executor, org);
      if (theirs?.state !== 'active') throw destroyed(org);
      return open(theirs);
    },

    /** The key of an id. @throws {PlatformError} `secret_unavailable` */
    byId: async (org: string, id: string): Promise<DataKey> => {
      const place = `${org}/${id}`;
      const last = known.get(place);
      if (last && now() < last.until) return last.key;
      known.delete(place);
      const [row] = await database
        .select()
        .from(orgKeys)
        .where(and(eq(orgKeys.org, org), eq(orgKeys.id, id)));
      if (!row) throw destroyed(org);
      return keep(place, row);
    },

    /** Wraps anew what another version of the wrapping key has wrapped; each key can be opened at every moment. @returns how many were */
    rewrap: (): Promise<number> =>
      guarded(async () => {
        let done = 0;
        for (const { org, id, wrapped } of await database.select().from(orgKeys).where(isNotNull(orgKeys.wrapped))) {
          if (wrapped === null || !isWrappedByOther(wrapping, wrapped)) continue;
          const anew = seal(wrapping, unseal(wrapping, wrapped, contextOf(org, id)), contextOf(org, id));
          const { rowCount } = await database
            .update(orgKeys)
            .set({ wrapped: anew })
            .where(and(eq(orgKeys.org, org), eq(orgKeys.id, id), eq(orgKeys.wrapped, wrapped)));
          done += rowCount ?? 0;
        }
        return done;
      }),

    /** Makes another key active, also for an org whose keys were destroyed. What was sealed before is sealed anew by the controller. */
    rotate: async (org: string, within: Executor): Promise<string> => {
      await within
        .update(orgKeys)
        .set({ state: 'retired', retiredAt: new Date(now()) })
        .where(and(eq(orgKeys.org, org), eq(orgKeys.state, 'active')));
      const { row, key } = fresh(org);
      await within.insert(orgKeys).values(row);
      known.delete(org);
      return key.id;
    },
  };
};
export type OrgKeys = ReturnType<typeof createOrgKeys>;
