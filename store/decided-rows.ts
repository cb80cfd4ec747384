import { and, desc, eq, gte, inArray, isNotNull } from 'drizzle-orm';
import type { AuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { auditShown, withNames } from './audit.ts';
import type { AuditPeople } from './audit-people.ts';
import { type Database, guarded } from './database.ts';

/** An outcome repeats the decision of its intent. */
const kinds = ['call', 'intent', 'refusal', 'change'];

/**
 * Rows of a project whose decision is on record, one for each decision, oldest first.
 * @param options.limit - the newest so many
 * @param people - says who stands behind pseudonyms
 */
export const listDecidedRows = (
  database: Database,
  { org, project }: Tenancy,
  { since, limit, role }: { since?: Date | undefined; limit: number; role?: string },
  people?: AuditPeople,
): Promise<AuditEvent[]> =>
  guarded(async () => {
    const rows = await database
      .select(auditShown)
      .from(auditEvents)
      .where(
        and(
          eq(auditEvents.org, org),
          eq(auditEvents.project, project),
          isNotNull(auditEvents.basis),
          inArray(auditEvents.kind, kinds),
          since ? gte(auditEvents.at, since) : undefined,
          role === undefined ? undefined : eq(auditEvents.role, role),
        ),
      )
      .orderBy(desc(auditEvents.sequence))
      .limit(limit);
    const events = rows.map((row) => ({ ...row, at: row.at.toISOString() }) as AuditEvent).reverse();
    return withNames(people, org, events);
  });
