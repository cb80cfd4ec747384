import { and, asc, desc, eq, getTableColumns, gt, gte, inArray, like, type SQL } from 'drizzle-orm';
import type { AuditEvent, AuditQuery } from '../schema/audit-event.ts';
import type { Tenancy } from '../schema/ids.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import { type AuditPeople, pseudonymPrefix } from './audit-people.ts';
import { type Database, guarded } from './database.ts';

const { digest: _digest, ...columnsShown } = getTableColumns(auditEvents);
/** What is shown of a row: all but its digest. */
export const auditShown = columnsShown;

/** Rows of a person: under the pseudonym, and under the id itself before there were pseudonyms. */
const ofPerson = async (people: AuditPeople | undefined, org: string, person: string): Promise<SQL> => {
  const pseudonym = await people?.find({ org, id: person });
  return inArray(auditEvents.person, pseudonym ? [pseudonym, person] : [person]);
};

/** Says who stands behind pseudonyms, for whoever may read the audit. An erased person's stay. */
export const withNames = async (people: AuditPeople | undefined, org: string, events: AuditEvent[]): Promise<AuditEvent[]> => {
  if (!people) return events;
  const pseudonyms = new Set(events.flatMap(({ person }) => (person?.startsWith(pseudonymPrefix) ? [person] : [])));
  const names = await people.resolve(org, [...pseudonyms]);
  return events.map((event) => ({ ...event, person: names.get(event.person ?? '') ?? event.person }));
};

/**
 * Reads a project's rows: the newest `limit` in their order, or with `after` the next ones.
 * @param people - says who stands behind pseudonyms; without it they are shown as they are
 */
export const queryAudit = (database: Database, { org, project }: Tenancy, query: AuditQuery, people?: AuditPeople): Promise<AuditEvent[]> =>
  guarded(async () => {
    const columns = ['run', 'agent', 'role', 'fleet', 'tool', 'action', 'kind', 'decision', 'decisionId'] as const;
    const filters = columns.flatMap((column) => (query[column] === undefined ? [] : [eq(auditEvents[column], query[column])]));
    if (query.step !== undefined) filters.push(like(auditEvents.operationId, `%/step-${query.step}/%`));
    if (query.trace !== undefined) filters.push(eq(auditEvents.traceId, query.trace));
    if (query.person !== undefined) filters.push(await ofPerson(people, org, query.person));
    const rows = await database
      .select(auditShown)
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
    return withNames(people, org, query.after === undefined ? events.reverse() : events);
  });
