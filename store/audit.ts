import { and, asc, desc, eq, gt, gte } from 'drizzle-orm';
import type { AuditEvent, AuditQuery, NewAuditEvent } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

/** Postgres takes neither NUL nor half a surrogate pair; names that callers invent may hold both, and are still put on record. */
const storable = <T>(value: T): T => {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\\u0000') as T;
  if (Array.isArray(value)) return value.map(storable) as T;
  if (typeof value === 'object' && value !== null && !(value instanceof Date))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storable(key), storable(inner)])) as T;
  return value;
};

/** Adds rows, in the given order. Inside a transaction they stand or fall with what they record. */
export const appendAudit = (executor: Executor, events: NewAuditEvent[]): Promise<void> =>
  guarded(async () => {
    if (events.length > 0) await executor.insert(auditEvents).values(events.map(storable));
  });

/** Reads a project's rows: the newest `limit` in their order, or with `after` the next ones. */
export const queryAudit = (database: Database, { org, project }: Tenancy, query: AuditQuery): Promise<AuditEvent[]> =>
  guarded(async () => {
    const columns = ['run', 'agent', 'role', 'fleet', 'person', 'tool', 'action', 'kind', 'decision'] as const;
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
