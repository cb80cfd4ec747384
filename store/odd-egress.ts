import { and, arrayOverlaps, count, eq, gte, isNotNull, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** Rules that keep what was read from ways out: who is refused by them again and again tries to tell somebody. */
const sinkRules = ['platform/sink-secrecy', 'platform/sink-tainted', 'platform/sink-read'];

/** How often agents of a project were refused a way out for what they had read, of those that were so `least` times since `since`. */
export const countRefusedWaysOut = (
  database: Database,
  { org, project }: Tenancy,
  { since, least }: { since: Date; least: number },
): Promise<{ agent: string; refusals: number }[]> =>
  guarded(async () => {
    const { agent } = auditEvents;
    const rows = await database
      .select({ agent: sql<string>`${agent}`, refusals: count() })
      .from(auditEvents)
      .where(
        and(
          gte(auditEvents.at, since),
          eq(auditEvents.org, org),
          eq(auditEvents.project, project),
          eq(auditEvents.kind, 'refusal'),
          isNotNull(agent),
          arrayOverlaps(auditEvents.policies, sinkRules),
        ),
      )
      .groupBy(agent)
      .having(gte(count(), least));
    return rows;
  });
