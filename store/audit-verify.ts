import type pg from 'pg';
import type { AuditBreach, AuditVerification } from '../schema/audit-verification.ts';
import { type Checkpoint, type StoredCheckpoint, storedCheckpointColumns } from './audit-checkpoint.ts';
import type { CheckpointSink } from './audit-checkpoint-file.ts';
import type { AuditVerifier } from './audit-key.ts';
import { type StoredCommit, storedCommits } from './audit-stored.ts';
import { createChainCheck } from './audit-verify-chain.ts';
import { verifyCheckpoints } from './audit-verify-checkpoints.ts';
import type { StoredLink, StoredRow } from './audit-verify-link.ts';
import { createRemovalCheck } from './audit-verify-removed.ts';
import { type Database, guarded } from './database.ts';

const mostBreaches = 100;

const ofNoLink = (row: StoredRow): AuditBreach => ({
  kind: 'row-inserted',
  writer: row.writer,
  epoch: row.epoch,
  link: row.link,
  sequence: row.sequence,
  message: `row ${row.sequence} says that it belongs to a commit that is not there`,
});

export type Report = (breach: AuditBreach) => void;

/** Keeps the first of what is found, and counts the rest. */
export const collectBreaches = () => {
  const breaches: AuditBreach[] = [];
  let found = 0;
  const report: Report = (breach) => {
    found += 1;
    if (breaches.length < mostBreaches) breaches.push(breach);
  };
  return { breaches, report, count: (): number => found };
};

const outOfOrder = ({ writer, epoch, number: link }: StoredLink, first: StoredRow | undefined): AuditBreach => ({
  kind: 'rows-reordered',
  writer,
  epoch,
  link,
  sequence: first?.sequence ?? null,
  message: 'the commit stands apart from the others of its chain',
});

/**
 * Checks all commits as they come, chain by chain.
 * @param checkpoints - of all chains
 */
export const checkCommits = async (commits: AsyncIterable<StoredCommit>, checkpoints: readonly Checkpoint[], report: Report) => {
  const byChain = Map.groupBy(checkpoints, ({ writer, epoch }) => `${writer}/${epoch}`);
  const totals = { rows: 0, links: 0, chains: 0, unsignedRows: 0 };
  const unclosed: AuditVerification['unclosed'] = [];
  const seen = new Set<string>();
  const removals = createRemovalCheck(report);
  let chain: ReturnType<typeof createChainCheck> | undefined;
  let name = '';
  const finish = (): void => {
    if (!chain) return;
    const { isClosed, unsignedRows, ...end } = chain.end();
    totals.unsignedRows += unsignedRows;
    if (!isClosed) unclosed.push(end);
  };

  for await (const commit of commits) {
    if ('stray' in commit) {
      totals.rows += 1;
      removals.next(commit.stray);
      report(ofNoLink(commit.stray));
      continue;
    }
    const { link, rows } = commit;
    if (`${link.writer}/${link.epoch}` !== name) {
      finish();
      name = `${link.writer}/${link.epoch}`;
      if (seen.has(name)) report(outOfOrder(link, rows[0]));
      seen.add(name);
      chain = createChainCheck(link, byChain.get(name) ?? [], report);
      byChain.delete(name);
      totals.chains += 1;
    }
    totals.links += 1;
    totals.rows += rows.length;
    chain?.next(link, rows);
    for (const row of rows) removals.next(row);
  }
  finish();
  // chains of which nothing is left but what was signed
  for (const [gone, signed] of byChain) {
    const [writer = '', epoch] = gone.split('/');
    createChainCheck({ writer, epoch: Number(epoch) }, signed, report).end();
  }
  return { ...totals, unclosed, removed: removals.end() };
};

/** Rows without a place in a chain are from before there were chains; what came later and has none was put there by somebody else. */
const checkUnchained = async (client: pg.PoolClient, report: Report): Promise<number> => {
  const { rows } = await client.query<{ count: string; late: string | null }>(
    `select count(*) as count, min(sequence) filter (where sequence > least(
       (select min(sequence) from audit_events where writer is not null), (select min(sequence) from audit_removed where writer is not null))) as late
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
    const { breaches, report, count } = collectBreaches();
    // before the database is looked at: what is signed was there then
    const outside = await sink?.read();
    const client = await database.$client.connect();
    try {
      await client.query('begin isolation level repeatable read read only');
      const { rows: inside } = await client.query<StoredCheckpoint>(
        `select ${storedCheckpointColumns} from audit_checkpoints order by number`,
      );
      const checkpoints = verifyCheckpoints(inside, outside, verifier, report);
      const { unclosed, removed, ...totals } = await checkCommits(storedCommits(client), checkpoints, report);
      const unchainedRows = await checkUnchained(client, report);
      return {
        ok: count() === 0,
        ...totals,
        checkpoints: checkpoints.length,
        hasOutsideCopy: outside !== undefined,
        unchainedRows,
        unclosed,
        removed,
        breaches,
        moreBreaches: count() - breaches.length,
      };
    } finally {
      await client.query('rollback').catch(() => undefined);
      client.release();
    }
  });
