import { sql } from 'drizzle-orm';
import { type OrgKey, OrgKeySchema } from '../schema/org-key.ts';
import { type Database, guarded } from './database.ts';

/** The keys of an org, the newest first, with how much each seals. */
export const listOrgKeys = (database: Database, org: string): Promise<OrgKey[]> =>
  guarded(async () => {
    const { rows } = await database.execute(sql`
      select k.id, k.state, k.created_at, k.retired_at, k.destroyed_at,
        (select count(*) from contents c where c.org = k.org and c.key_id = k.id)::int as contents
      from org_keys k where k.org = ${org} order by k.created_at desc`);
    const instant = (value: unknown): string | null => (value === null ? null : new Date(value as string).toISOString());
    return rows.map(({ id, state, created_at, retired_at, destroyed_at, contents }) =>
      OrgKeySchema.parse({
        id,
        state,
        createdAt: instant(created_at),
        retiredAt: instant(retired_at),
        destroyedAt: instant(destroyed_at),
        contents,
      }),
    );
  });
