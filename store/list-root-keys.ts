import { sql } from 'drizzle-orm';
import { originalKey, type RootKeyVersion, type RootName, type SealedName } from '../schema/seal-key.ts';
import { type Database, guarded } from './database.ts';
import { keyIn } from './sealed-tables.ts';
import { rootKeyNow } from './secrets/root-versions.ts';

/** Whose rows stand on keys that are wrapped by which root, or made from its original version as long as they were never rotated. */
const sealedBy: Readonly<Record<RootName, readonly SealedName[]>> = {
  'content.key': ['people', 'grants'],
  'gateway.key': ['gateway', 'approvals'],
  'issuer.key': [],
};

const wrapped = sql`wrapped`;
const sealed = sql`sealed`;
const code = sql`decode(payload->>'sealedCode', 'base64')`;

/** How much each version has wrapped. All of these tables are small, but for codes of devices, which live for ten minutes. */
const countWrapped = async (database: Database): Promise<Map<string, number>> => {
  const names = (root: RootName) =>
    sql.join(
      sealedBy[root].map((name) => sql`${name}`),
      sql`, `,
    );
  const { rows } = await database.execute<{ root: RootName; id: string; count: number }>(sql`
    select root, id, count(*)::int as count from (
      select 'content.key' as root, ${keyIn(wrapped)} as id from org_keys where wrapped is not null
      union all select 'content.key', ${keyIn(wrapped)} from seal_keys where wrapped is not null and name in (${names('content.key')})
      union all select 'gateway.key', ${keyIn(wrapped)} from seal_keys where wrapped is not null and name in (${names('gateway.key')})
      union all select 'issuer.key', ${keyIn(sealed)} from signing_keys where sealed is not null
      union all select 'issuer.key', ${keyIn(code)} from issuer_records
        where model in ('DeviceCode', 'UserCode') and payload ? 'sealedCode' and expires_at > now()
    ) each group by root, id`);
  return new Map(rows.map(({ root, id, count }) => [`${root}/${id}`, count]));
};

/** What is made from the original version itself, without a wrapped key between them. */
const neededOriginals = async (database: Database, root: RootName): Promise<string[]> => {
  const needed: string[] = [];
  for (const name of sealedBy[root]) {
    const { rows } = await database.execute(
      sql`select from seal_keys where name = ${name} and id = ${originalKey} and retired_at is not null`,
    );
    if (rows.length === 0) needed.push(`${name}/${originalKey}`);
  }
  if (root !== 'content.key') return needed;
  const { rows } = await database.execute(sql`select from contents where key_id is null limit 1`);
  return rows.length > 0 ? [...needed, 'documents from before orgs had keys'] : needed;
};

/**
 * The versions of the keys that wrap others, each with what stands on it.
 * @param roots - texts of the root keys, or of what is made from them: the ids of versions are the same
 */
export const listRootKeys = (database: Database, roots: Readonly<Record<RootName, string>>): Promise<RootKeyVersion[]> =>
  guarded(async () => {
    const counts = await countWrapped(database);
    const listed: RootKeyVersion[] = [];
    for (const name of Object.keys(roots) as RootName[]) {
      const known = rootKeyNow(roots[name]).versions.map(({ id }) => id ?? originalKey);
      const found = [...counts.keys()].filter((key) => key.startsWith(`${name}/`)).map((key) => key.slice(name.length + 1));
      for (const id of new Set([...known, ...found]))
        listed.push({
          name,
          id,
          state: id === known[0] ? 'wraps' : known.includes(id) ? 'opens' : 'unknown',
          wraps: counts.get(`${name}/${id}`) ?? 0,
          needed: id === originalKey && known.includes(id) ? await neededOriginals(database, name) : [],
        });
    }
    return listed;
  });
