import { and, asc, desc, eq, gt, gte, sql } from 'drizzle-orm';
import type { AuditEvent, AuditQuery, NewAuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { auditColumns, auditFields, auditJson, auditValues } from './audit-rows.ts';
import { type Database, type Executor, guarded } from './database.ts';

const insertRows = `insert into audit_events (${auditColumns}) select ${auditValues} from jsonb_to_recordset(`;
const asRows = `::jsonb) as r(${auditFields})`;

/** Adds rows, in the given order. Inside a transaction they stand or fall with what they record. */
export const appendAudit = (executor: Executor, events: readonly NewAuditEvent[]): Promise<void> =>
  guarded(async () => {
    if (events.length > 0) await executor.execute(sql`${sql.raw(insertRows)}${auditJson(events)}${sql.raw(asRows)}`);
  });

/** The same by a statement that the connection keeps prepared: for one who writes rows all the time. */
export const appendAuditOften = (database: Database, events: readonly NewAuditEvent[]): Promise<void> =>
  guarded(async () => {
    await database.$client.query({ name: 'append-audit', text: `${insertRows}$1${asRows}`, values: [auditJson(events)] });
  });

/** Reads a project's rows: the newest `limit` in their order, or with `after` the next ones. */
export const queryAudit = (database: Database, { org, project }: Tenancy, query: AuditQuery): Promise<AuditEvent[]> =>
  guarded(async () => {
    const columns = ['run', 'agent', 'role', 'fleet', 'person', 'tool', 'action', 'kind', 'decision', 'decisionId'] as const;
    const filters = columns.flatMap((column) => (query[column] === undefined ? [] : [eq(auditEvents[column], query[column])]));
    const rows = await database
      .select()
      .from(auditEvents)
      .where(
        and(
          eq(auditEvents.org, org),
          eq(auditEvents.project, project),
          ...filters,
          query.since ? gte(auditEvents.at, new Date(query.since)) : undefined,
          query.after === undefined ? undefined : gt(auditEvents.sequence, query.after),
        ),
      )
      .orderBy(query.after === undefined ? desc(auditEvents.sequence) : asc(auditEvents.sequence))
      .limit(query.limit);
    const events = rows.map((row) => ({ ...row, at: row.at.toISOString() }) as AuditEvent);
    return query.after === undefined ? events.reverse() : events;
  });
