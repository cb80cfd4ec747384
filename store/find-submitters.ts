import { and, eq, or } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { Kind } from '../schema/resource.ts';
import { resources } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import { submittersOf } from './resources.ts';

/** One resource of a project, by its kind and name. */
export type Part = { kind: Kind; name: string };

/**
 * Everybody who has declared a part of any of these, as they are now; of one that is not there nobody has.
 * @param parts - resources of one project
 * @returns ids of people, each once, in order
 */
export const findSubmitters = (executor: Executor, { org, project }: Tenancy, parts: readonly Part[]): Promise<string[]> =>
  guarded(async () => {
    if (parts.length === 0) return [];
    const rows = await executor
      .select({ submitters: resources.submitters, appliedBy: resources.appliedBy })
      .from(resources)
      .where(
        and(
          eq(resources.org, org),
          eq(resources.project, project),
          or(...parts.map(({ kind, name }) => and(eq(resources.kind, kind), eq(resources.name, name)))),
        ),
      );
    return [...new Set(rows.flatMap((row) => submittersOf(row)))].sort();
  });
