import { and, count, eq, gte, inArray } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** How many calls of tools a server has answered since an instant, of everybody or of one agent, as the audit has it. */
export const countAnsweredCalls = (
  database: Database,
  { org, project }: Tenancy,
  { server, agent, since }: { server: string; agent?: string | undefined; since: Date },
): Promise<number> =>
  guarded(async () => {
    const rows = await database
      .select({ calls: count() })
      .from(auditEvents)
      .where(
        and(
          gte(auditEvents.at, since),
          eq(auditEvents.org, org),
          eq(auditEvents.project, project),
          eq(auditEvents.server, server),
          inArray(auditEvents.kind, ['call', 'outcome']),
          inArray(auditEvents.outcome, ['ok', 'tool_error']),
          agent === undefined ? undefined : eq(auditEvents.agent, agent),
        ),
      );
    return rows[0]?.calls ?? 0;
  });
