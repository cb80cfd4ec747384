import { getTableColumns } from 'drizzle-orm';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { auditEvents } from '../schema/tables/tables.ts';

/** What the database adds to a row by itself. */
const { sequence: _sequence, at: _at, ...given } = getTableColumns(auditEvents);
const columns = Object.entries(given);

/** Columns of a row, in the order of `auditValues`. */
export const auditColumns: string = columns.map(([, { name }]) => name).join(', ');

/** The row's fields as one reads them out of JSON: the argument of `jsonb_to_recordset(…) as r(…)`. */
export const auditFields: string = columns.map(([key, column]) => `"${key}" ${column.getSQLType()}`).join(', ');

/** Their values, of a record `r`; what may not be null is empty where it was left out. */
export const auditValues: string = columns
  .map(([key, { hasDefault }]) => (hasDefault ? `coalesce(r."${key}", '{}')` : `r."${key}"`))
  .join(', ');

/** Postgres takes neither NUL nor half a surrogate pair; names that callers invent may hold both, and are still put on record. */
const storable = <T>(value: T): T => {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\u0000', '\\u0000') as T;
  if (Array.isArray(value)) return value.map(storable) as T;
  if (typeof value === 'object' && value !== null && !(value instanceof Date))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [storable(key), storable(inner)])) as T;
  return value;
};

/** Rows as one JSON text that Postgres takes: many rows cost one parameter, and no more than they weigh. */
export const auditJson = (rows: readonly (NewAuditEvent & Readonly<Record<string, unknown>>)[]): string => {
  const text = JSON.stringify(rows);
  // exactly the characters that Postgres refuses are the ones that JSON writes like this; a backslash that is doubled only looks so
  return /\\u(?:0000|d[89a-f])/.test(text) ? JSON.stringify(storable(rows)) : text;
};
