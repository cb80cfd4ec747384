import { getTableColumns } from 'drizzle-orm';
import type pg from 'pg';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { AuditBreach, AuditVerification } from '../schema/audit-verification.ts';
import { auditEvents } from '../schema/tables/tables.ts';
import type { Checkpoint, SignedCheckpoint } from './audit-checkpoint.ts';
import type { CheckpointSink } from './audit-checkpoint-file.ts';
import type { AuditVerifier } from './audit-key.ts';
import { createChainCheck } from './audit-verify-chain.ts';
import { verifyCheckpoints } from './audit-verify-checkpoints.ts';
import type { StoredLink, StoredRow } from './audit-verify-link.ts';
import { type Database, guarded } from './database.ts';

const pageRows = 2000;
const mostBreaches = 100;

const { sequence: _s, at: _a, writer: _w, epoch: _e, link: _l, position: _p, digest: _d, ...said } = getTableColumns(auditEvents);
const utc = (column: string): string => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`;
const numbers = new Set(['bigint', 'double precision']);

/** Rows come as they are stored; numbers that the driver gives as text are numbers again. */
const rowsInOrder = `
select sequence, ${utc('at')}, ${Object.entries(said)
  .map(([key, { name }]) => `${name} as "${key}"`)
  .join(', ')}, writer, epoch, link, position, digest
from audit_events where writer is not null order by writer collate "C", epoch, link, position, sequence`;
const linksInOrder = `
select writer, epoch, number, rows, previous, hash, closes, ${utc('at')} from audit_links order by writer collate "C", epoch, number`;

const numeric = Object.entries(said).flatMap(([key, column]) => (numbers.has(column.getSQLType()) ? [key] : []));

const rowOf = ({ sequence, at, writer, epoch, link, position, digest, ...event }: Record<string, unknown>): StoredRow => {
  for (const key of numeric) if (event[key] !== null) event[key] = Number(event[key]);
  return { sequence: Number(sequence), at, event: event as unknown as NewAuditEvent, writer, epoch, link, position, digest } as StoredRow;
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

const ofNoLink = (row: StoredRow): AuditBreach => ({
  kind: 'row-inserted',
  writer: row.writer,
  epoch: row.epoch,
  link: row.link,
  sequence: row.sequence,
  message: `row ${row.sequence} says that it belongs to a commit that is not there`,
});

type Report = (breach: AuditBreach) => void;

/** Walks through all commits and their rows at the same pace. */
const walk = async (client: pg.PoolClient, checkpoints: readonly Checkpoint[], report: Report) => {
  const byChain = Map.groupBy(checkpoints, ({ writer, epoch }) => `${writer}/${epoch}`);
  const totals = { rows: 0, links: 0, chains: 0, unsignedRows: 0 };
  const unclosed: AuditVerification['unclosed'] = [];
  const rows = readCursor(client, 'audit_rows');
  let row = await rows.next();
  const nextRow = async (): Promise<void> => {
    totals.rows += 1;
    row = await rows.next();
  };
  let chain: ReturnType<typeof createChainCheck> | undefined;
  let name = '';
  const finish = (): void => {
    if (!chain) return;
    const { isClosed, unsignedRows, ...end } = chain.end();
    totals.unsignedRows += unsignedRows;
    if (!isClosed) unclosed.push(end);
  };

  for await (const each of readCursor(client, 'audit_commits')) {
    const link = each as unknown as StoredLink;
    if (`${link.writer}/${link.epoch}` !== name) {
      finish();
      name = `${link.writer}/${link.epoch}`;
      chain = createChainCheck(link, byChain.get(name) ?? [], report);
      byChain.delete(name);
      totals.chains += 1;
    }
    totals.links += 1;
    const own: StoredRow[] = [];
    while (!row.done) {
      const stored = rowOf(row.value);
      const order = compare(stored, link);
      if (order > 0) break;
      if (order < 0) report(ofNoLink(stored));
      else own.push(stored);
      await nextRow();
    }
    chain?.next(link, own);
  }
  finish();
  for (; !row.done; await nextRow()) report(ofNoLink(rowOf(row.value)));
  // chains of which nothing is left but what was signed
  for (const [gone, signed] of byChain) {
    const [writer = '', epoch] = gone.split('/');
    createChainCheck({ writer, epoch: Number(epoch) }, signed, report).end();
  }
  return { ...totals, unclosed };
};

/** Rows without a place in a chain are from before there were chains; what came later and has none was put there by somebody else. */
const checkUnchained = async (client: pg.PoolClient, report: Report): Promise<number> => {
  const { rows } = await client.query<{ count: string; late: string | null }>(
    `select count(*) as count, min(sequence) filter (where sequence > (select min(sequence) from audit_events where writer is not null)) as late
     from audit_events where writer is null`,
  );
  const { count = '0', late } = rows[0] ?? {};
  if (late)
    report({
      kind: 'row-inserted',
      writer: null,
      epoch: null,
      link: null,
      sequence: Number(late),
      message: `row ${late} stands in no chain, though there were chains when it came`,
    });
  return Number(count);
};

/**
 * Checks the whole audit: every row against its digest, every commit against its rows and the commit before, every chain against the
 * signed checkpoints in the database and outside. It looks at one moment, and holds up nobody who writes.
 * @param options.sink - where checkpoints are kept outside the database
 */
export const verifyAudit = ({
  database,
  verifier,
  sink,
}: {
  database: Database;
  verifier: AuditVerifier;
  sink?: CheckpointSink | undefined;
}): Promise<AuditVerification> =>
  guarded(async () => {
    const breaches: AuditBreach[] = [];
    let found = 0;
    const report: Report = (breach) => {
      found += 1;
      if (breaches.length < mostBreaches) breaches.push(breach);
    };
    // before the database is looked at: what is signed was there then
    const outside = await sink?.read();
    const client = await database.$client.connect();
    try {
      await client.query('begin isolation level repeatable read read only');
      const { rows: inside } = await client.query<SignedCheckpoint>('select statement, signature from audit_checkpoints order by number');
      const checkpoints = verifyCheckpoints(inside, outside, verifier, report);
      await client.query(`declare audit_rows no scroll cursor for ${rowsInOrder}`);
      await client.query(`declare audit_commits no scroll cursor for ${linksInOrder}`);
      const { unclosed, ...totals } = await walk(client, checkpoints, report);
      const unchainedRows = await checkUnchained(client, report);
      return {
        ok: found === 0,
        ...totals,
        checkpoints: checkpoints.length,
        hasOutsideCopy: outside !== undefined,
        unchainedRows,
        unclosed,
        breaches,
        moreBreaches: found - breaches.length,
      };
    } finally {
      await client.query('rollback').catch(() => undefined);
      client.release();
    }
  });
