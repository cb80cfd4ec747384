import { createHash } from 'node:crypto';
import type { AuditExportLine } from '../schema/audit-export.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { SignedCheckpoint } from './audit-checkpoint.ts';
import type { AuditPublicKey } from './audit-key.ts';
import { storedCommits } from './audit-stored.ts';
import type { StoredLink, StoredRow } from './audit-verify-link.ts';
import type { Database } from './database.ts';

const hexOf = (bytes: Buffer | null): string | null => bytes?.toString('hex') ?? null;

const commitLine = ({ previous, hash, ...link }: StoredLink): AuditExportLine => ({
  type: 'commit',
  ...link,
  previous: previous.toString('hex'),
  hash: hash.toString('hex'),
});

const rowLine = ({ sequence, position, digest, at, event, removal }: StoredRow, { org, project }: Tenancy): AuditExportLine => {
  const place = { sequence, position, digest: hexOf(digest) };
  if (event.org !== org || event.project !== project) return { type: 'withheld', ...place };
  return removal === undefined ? { type: 'row', ...place, at, event } : { type: 'removed', ...place, removal };
};

async function* linesOf(database: Database, tenancy: Tenancy, publicKey: AuditPublicKey, now: Date): AsyncGenerator<AuditExportLine> {
  yield { type: 'head', version: 1, ...tenancy, at: now.toISOString(), publicKey };
  const client = await database.$client.connect();
  try {
    await client.query('begin isolation level repeatable read read only');
    const { rows } = await client.query<SignedCheckpoint>('select statement, signature from audit_checkpoints order by number');
    for (const { statement, signature } of rows) yield { type: 'checkpoint', statement, signature };
    for await (const commit of storedCommits(client)) {
      if ('stray' in commit) {
        yield rowLine(commit.stray, tenancy);
        continue;
      }
      yield commitLine(commit.link);
      for (const row of commit.rows) yield rowLine(row, tenancy);
    }
  } finally {
    await client.query('rollback').catch(() => undefined);
    client.release();
  }
}

/**
 * A project's part of the audit as lines of text, with all that a check needs which has neither the database nor the platform: one moment,
 * read as fast as it is taken. Rows from before there were chains are not in it.
 */
export async function* exportAudit(database: Database, tenancy: Tenancy, publicKey: AuditPublicKey, now: Date): AsyncGenerator<string> {
  const digest = createHash('sha256');
  let lines = 0;
  for await (const line of linesOf(database, tenancy, publicKey, now)) {
    const text = `${JSON.stringify(line)}\n`;
    digest.update(text);
    lines += 1;
    yield text;
  }
  yield `${JSON.stringify({ type: 'end', lines, digest: digest.digest('hex') } satisfies AuditExportLine)}\n`;
}
