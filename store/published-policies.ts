import { and, desc, eq, max, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { PolicyHook } from '../schema/resources/policy-hook.ts';
import type { DeclaredRego } from '../schema/resources/rego.ts';
import { auditEvents, policyBundles } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

/** A publication of a project's PolicySets. `content` is a `PublishedContent` as text, exactly as it was signed. */
export type PublishedPolicies = Tenancy & { version: number; content: string; signature: string; publishedBy: string; publishedAt: string };
export type PublishedContent = Tenancy & {
  version: number;
  policySets: { name: string; cedar: string; hooks?: PolicyHook[]; rego?: DeclaredRego }[];
};

type Row = typeof policyBundles.$inferSelect;
const toPublished = ({ publishedAt, ...row }: Row): PublishedPolicies => ({ ...row, publishedAt: publishedAt.toISOString() });

/** The last publication of each project that has one. */
export const listPublishedPolicies = (database: Database): Promise<PublishedPolicies[]> =>
  guarded(async () => {
    const { org, project, version } = policyBundles;
    const rows = await database.selectDistinctOn([org, project]).from(policyBundles).orderBy(org, project, desc(version));
    return rows.map(toPublished);
  });

export const findPublishedPolicies = (database: Executor, { org, project }: Tenancy): Promise<PublishedPolicies | undefined> =>
  guarded(async () => {
    const [row] = await database
      .select()
      .from(policyBundles)
      .where(and(eq(policyBundles.org, org), eq(policyBundles.project, project)))
      .orderBy(desc(policyBundles.version))
      .limit(1);
    return row && toPublished(row);
  });

/** The highest version that the audit says was published, whatever became of its row since; 0 where none was. */
export const lastPublishedVersion = (database: Executor, { org, project }: Tenancy): Promise<number> =>
  guarded(async () => {
    const [row] = await database
      .select({ version: max(sql<number>`(${auditEvents.facts}->>'version')::int`) })
      .from(auditEvents)
      .where(
        and(
          eq(auditEvents.org, org),
          eq(auditEvents.project, project),
          eq(auditEvents.action, 'applyResource'),
          sql`${auditEvents.facts}->>'change' = 'published'`,
        ),
      );
    return Number(row?.version ?? 0);
  });

/** The same of each project that ever had one, by `org/project`; found by an index of its own. */
export const listPublishedVersions = (database: Database): Promise<ReadonlyMap<string, number>> =>
  guarded(async () => {
    const { rows } = await database.$client.query<{ place: string; version: number }>(
      `select org || '/' || project as place, max((facts->>'version')::int) as version from audit_events
       where action = 'applyResource' and facts->>'change' = 'published' group by org, project`,
    );
    return new Map(rows.map(({ place, version }) => [place, version ?? 0]));
  });

/** Puts a publication after the last one. Two at the same moment would be one version, of which the second fails. */
export const insertPublishedPolicies = (executor: Executor, published: Omit<PublishedPolicies, 'publishedAt'>): Promise<void> =>
  guarded(async () => {
    await executor.insert(policyBundles).values(published);
  });
