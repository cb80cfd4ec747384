import { getTableColumns } from 'drizzle-orm';
import type pg from 'pg';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import type { StoredLink, StoredRow } from './audit-verify-link.ts';

const pageRows = 2000;

const { sequence: _s, at: _a, writer: _w, epoch: _e, link: _l, position: _p, digest: _d, ...said } = getTableColumns(auditEvents);
const utc = (column: string): string => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`;
const numbers = new Set(['bigint', 'double precision']);

/** Rows come as they are stored; numbers that the driver gives as text are numbers again. */
const place = 'writer, epoch, link, position, digest';
const ofRemoved = new Set(['org', 'project']);
const rowsInOrder = `
select * from (
  select sequence, ${utc('at')}, ${Object.entries(said)
    .map(([key, { name }]) => `${name} as "${key}"`)
    .join(', ')}, ${place}, null as removal
  from audit_events where writer is not null
  union all
  select sequence, '' as at, ${Object.entries(said)
    .map(([key, column]) => (ofRemoved.has(key) ? column.name : `null::${column.getSQLType()}`))
    .join(', ')}, ${place}, removal
  from audit_removed where writer is not null
) each order by writer collate "C", epoch, link, position, sequence`;
const linksInOrder = `
select writer, epoch, number, rows, previous, hash, closes, ${utc('at')} from audit_links order by writer collate "C", epoch, number`;

const numeric = Object.entries(said).flatMap(([key, column]) => (numbers.has(column.getSQLType()) ? [key] : []));

const rowOf = ({ sequence, at, writer, epoch, link, position, digest, removal, ...event }: Record<string, unknown>): StoredRow => {
  for (const key of numeric) if (event[key] !== null) event[key] = Number(event[key]);
  return {
    ...{ sequence: Number(sequence), at, event: event as unknown as NewAuditEvent, writer, epoch, link, position, digest },
    ...(removal === null ? {} : { removal }),
  } as StoredRow;
};

/** Reads a cursor page by page. */
async function* readCursor(client: pg.PoolClient, name: string): AsyncGenerator<Record<string, unknown>> {
  for (;;) {
    const { rows } = await client.query(`fetch ${pageRows} from ${name}`);
    if (rows.length === 0) return;
    yield* rows;
  }
}

/** One below, zero at, or one above another place in the order of chains, by bytes as the database sorts with collation C. */
const compare = (row: Pick<StoredRow, 'writer' | 'epoch' | 'link'>, link: Pick<StoredLink, 'writer' | 'epoch' | 'number'>): number =>
  Buffer.compare(Buffer.from(row.writer ?? ''), Buffer.from(link.writer)) ||
  Math.sign((row.epoch ?? 0) - link.epoch) ||
  Math.sign((row.link ?? 0) - link.number);

/** A commit with the rows that are there under its name, or a row of no commit. */
export type StoredCommit = { link: StoredLink; rows: StoredRow[] } | { stray: StoredRow };

/** Walks through all commits and their rows at the same pace, in the order of chains. Call it within a transaction that sees one moment. */
export async function* storedCommits(client: pg.PoolClient): AsyncGenerator<StoredCommit> {
  await client.query(`declare audit_rows no scroll cursor for ${rowsInOrder}`);
  await client.query(`declare audit_commits no scroll cursor for ${linksInOrder}`);
  const rows = readCursor(client, 'audit_rows');
  let row = await rows.next();
  for await (const each of readCursor(client, 'audit_commits')) {
    const link = each as unknown as StoredLink;
    const own: StoredRow[] = [];
    for (; !row.done; row = await rows.next()) {
      const stored = rowOf(row.value);
      const order = compare(stored, link);
      if (order > 0) break;
      if (order < 0) yield { stray: stored };
      else own.push(stored);
    }
    yield { link, rows: own };
  }
  for (; !row.done; row = await rows.next()) yield { stray: rowOf(row.value) };
}
