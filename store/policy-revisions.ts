import { and, desc, eq, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { PolicySetSpec } from '../schema/resources/access.ts';
import { policyRevisions } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** PolicySets of a project, whole, as they were in force once. */
export type PolicyRevision = { revision: string; policySets: { name: string; spec: PolicySetSpec }[] };

const mostKept = 20;
const of = ({ org, project }: Tenancy) => and(eq(policyRevisions.org, org), eq(policyRevisions.project, project));
const toRevision = (row: { revision: string; policySets: unknown }): PolicyRevision => row as PolicyRevision;

/** Keeps what was put into force, as the newest; the oldest beyond twenty go. */
export const keepRevision = (
  database: Database,
  place: Tenancy,
  { revision, policySets }: PolicyRevision,
  { isGood = true }: { isGood?: boolean } = {},
): Promise<void> =>
  guarded(async () => {
    const { org, project } = place;
    await database
      .insert(policyRevisions)
      .values({ org, project, revision, policySets, isGood })
      .onConflictDoUpdate({
        target: [policyRevisions.org, policyRevisions.project, policyRevisions.revision],
        set: { policySets, usedAt: sql`now()` },
      });
    await database.execute(sql`delete from ${policyRevisions} where ${of(place)} and ${policyRevisions.revision} in
      (select r.revision from ${policyRevisions} r where r.org = ${org} and r.project = ${project} order by r.used_at desc offset ${mostKept})`);
  });

/** The newest revision that was in force. */
export const findLastGood = (database: Database, place: Tenancy): Promise<PolicyRevision | undefined> =>
  guarded(async () => {
    const where = and(of(place), eq(policyRevisions.isGood, true));
    const [row] = await database.select().from(policyRevisions).where(where).orderBy(desc(policyRevisions.usedAt)).limit(1);
    return row && toRevision(row);
  });

/** The revisions of a project, the newest first. */
export const listRevisions = (database: Database, place: Tenancy): Promise<PolicyRevision[]> =>
  guarded(async () =>
    (await database.select().from(policyRevisions).where(of(place)).orderBy(desc(policyRevisions.usedAt))).map(toRevision),
  );
