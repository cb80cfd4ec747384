import { sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { ProjectSpecSchema } from '../schema/resources/project.ts';
import { type RetainedKind, type RetentionSpec, retentionAction } from '../schema/retention.ts';
import { resources } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** Projects that say how long something is kept. */
export const listRetention = (database: Database): Promise<(Tenancy & { retention: RetentionSpec })[]> =>
  guarded(async () => {
    const { org, project, spec } = resources;
    const rows = await database
      .select({ org, project, spec })
      .from(resources)
      .where(sql`${resources.kind} = 'Project' and ${spec} ? 'retention'`)
      .orderBy(org, project);
    return rows.flatMap((row) => {
      const { retention } = ProjectSpecSchema.parse(row.spec);
      return retention ? [{ org: row.org, project: row.project, retention }] : [];
    });
  });

const sources = {
  audit: {
    table: sql`audit_events`,
    at: sql`at`,
    // removals and publications of policies stay, see `remove_audit_rows`
    goes: sql`action <> ${retentionAction} and not (action = 'applyResource' and coalesce(facts->>'change', '') = 'published')`,
  },
  contents: { table: sql`contents`, at: sql`used_at`, goes: sql`true` },
  decisionFacts: { table: sql`decision_facts`, at: sql`used_at`, goes: sql`true` },
  outcomes: { table: sql`operations`, at: sql`settled_at`, goes: sql`outcome is not null` },
} as const satisfies Record<RetainedKind, unknown>;

/** How many rows of a project would go: by an index, so that it costs as much as there are. */
export const countDue = (database: Database, { org, project }: Tenancy, what: RetainedKind, before: Date): Promise<number> =>
  guarded(async () => {
    const { table, at, goes } = sources[what];
    const { rows } = await database.execute<{ count: number }>(sql`
      select count(*)::int as count from ${table}
      where org = ${org} and project = ${project} and ${at} < ${before.toISOString()}::timestamptz and ${goes}`);
    return rows[0]?.count ?? 0;
  });

/** How many rows of a kind a project has, and since when. */
export const measureKept = (
  database: Database,
  { org, project }: Tenancy,
  what: RetainedKind,
): Promise<{ rows: number; oldestAt: string | null }> =>
  guarded(async () => {
    const { table, at, goes } = sources[what];
    // of an operation only what it ended with is kept for a time
    const counts = what === 'outcomes' ? goes : sql`true`;
    const { rows } = await database.execute<{ count: number; oldest: string | null }>(
      sql`select count(*)::int as count, min(${at}) as oldest from ${table} where org = ${org} and project = ${project} and ${counts}`,
    );
    const oldest = rows[0]?.oldest ?? null;
    return { rows: rows[0]?.count ?? 0, oldestAt: oldest === null ? null : new Date(oldest).toISOString() };
  });
