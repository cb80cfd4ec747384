import { createHash } from 'node:crypto';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import { type AuditExportLine, AuditExportLineSchema } from '../schema/audit-export.ts';
import type { AuditBreach, AuditVerification } from '../schema/audit-verification.ts';
import { PlatformError } from '../schema/errors.ts';
import type { Tenancy } from '../schema/ids.ts';
import type { SignedCheckpoint } from './audit-checkpoint.ts';
import { type AuditPublicKey, createAuditVerifier } from './audit-key.ts';
import type { StoredCommit } from './audit-stored.ts';
import { checkCommits, collectBreaches, type Report } from './audit-verify.ts';
import { verifyCheckpoints } from './audit-verify-checkpoints.ts';
import type { StoredLink, StoredRow } from './audit-verify-link.ts';

/** What was found, and which key it was checked with: the one that was given, or the export's own. */
export type ExportVerification = AuditVerification & { keyId: string; isOwnKey: boolean; exportedAt: string; withheldRows: number };

type Line<Type extends AuditExportLine['type']> = Extract<AuditExportLine, { type: Type }>;

const damaged = (message: string): AuditBreach => ({
  kind: 'export-damaged',
  writer: null,
  epoch: null,
  link: null,
  sequence: null,
  message,
});

const parseLine = (text: string): AuditExportLine | undefined => {
  try {
    return AuditExportLineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
};

/** Reads the lines of an export one after another, and whether it is as long, and says what, its end says. */
async function* readLines(lines: AsyncIterable<string>, report: Report): AsyncGenerator<AuditExportLine> {
  const digest = createHash('sha256');
  let count = 0;
  let isEnded = false;
  for await (const text of lines) {
    const line = parseLine(text);
    if (isEnded) report(damaged(`line ${count + 1} comes after the end of the export`));
    else if (!line) report(damaged(`line ${count + 1} is no line of an export`));
    else if (line.type === 'end') {
      isEnded = true;
      if (line.lines !== count) report(damaged(`the end says that there were ${line.lines} lines, and ${count} are there`));
      else if (line.digest !== digest.copy().digest('hex')) report(damaged('the lines are not those that the end was made of'));
    } else yield line;
    digest.update(`${text}\n`);
    count += 1;
  }
  if (!isEnded) report(damaged(`the export has no end: it was cut off after line ${count}`));
}

const linkOf = ({ type: _type, previous, hash, ...link }: Line<'commit'>): StoredLink => ({
  ...link,
  previous: Buffer.from(previous, 'hex'),
  hash: Buffer.from(hash, 'hex'),
});

const rowOf = (line: Line<'row'> | Line<'withheld'> | Line<'removed'>, tenancy: Tenancy, link: StoredLink | undefined): StoredRow => ({
  sequence: line.sequence,
  at: line.type === 'row' ? line.at : '',
  event: (line.type === 'row' ? line.event : tenancy) as unknown as NewAuditEvent,
  writer: link?.writer ?? null,
  epoch: link?.epoch ?? null,
  link: link?.number ?? null,
  position: line.position,
  digest: line.digest === null ? null : Buffer.from(line.digest, 'hex'),
  isWithheld: line.type === 'withheld',
  ...(line.type === 'removed' ? { removal: line.removal } : {}),
});

/**
 * Checks an export of the audit with nothing but the export and a public key: every row against its digest, every commit against its rows
 * and the commit before, every chain against the signed checkpoints, and whether the end is there.
 * @param lines - of the export, without their line breaks
 * @param trusted - public keys that checkpoints may be signed with; without one the export's own is taken, which whoever forged it could have put there
 * @throws {PlatformError} `input_invalid` for what is no export
 */
export const verifyExport = async (lines: AsyncIterable<string>, trusted?: AuditPublicKey): Promise<ExportVerification> => {
  const { breaches, report, count } = collectBreaches();
  const reader = readLines(lines, report);
  const { value: head } = await reader.next();
  if (head?.type !== 'head')
    throw new PlatformError(
      'input_invalid',
      'The file does not begin like an export of the audit; make one with `quarterdeck audit export -o chain`.',
    );
  const verifier = createAuditVerifier(trusted ?? head.publicKey);
  if (trusted && trusted.x !== head.publicKey.x) report(damaged('the head names another key than the one that is trusted'));
  const tenancy = { org: head.org, project: head.project };
  const signed: SignedCheckpoint[] = [];
  let withheldRows = 0;

  let ahead: AuditExportLine | undefined;
  for await (const line of { [Symbol.asyncIterator]: () => ({ next: () => reader.next() }) }) {
    if (line.type !== 'checkpoint') {
      ahead = line;
      break;
    }
    signed.push(line);
  }
  const checkpoints = verifyCheckpoints(signed, undefined, verifier, report);

  async function* commits(): AsyncGenerator<StoredCommit> {
    let open: { link: StoredLink; rows: StoredRow[] } | undefined;
    for (let line = ahead; line; line = (await reader.next()).value as AuditExportLine | undefined) {
      if (line.type === 'commit') {
        if (open) yield open;
        open = { link: linkOf(line), rows: [] };
      } else if (line.type === 'row' || line.type === 'withheld' || line.type === 'removed') {
        if (line.type === 'withheld') withheldRows += 1;
        const row = rowOf(line, tenancy, open?.link);
        if (open) open.rows.push(row);
        else yield { stray: row };
      } else report(damaged(`a ${line.type} stands among the rows`));
    }
    if (open) yield open;
  }
  const { unclosed, removed, ...totals } = await checkCommits(commits(), checkpoints, report);
  return {
    ok: count() === 0,
    ...totals,
    checkpoints: checkpoints.length,
    hasOutsideCopy: true,
    unchainedRows: 0,
    unclosed,
    removed,
    breaches,
    moreBreaches: count() - breaches.length,
    keyId: verifier.keyId,
    isOwnKey: trusted === undefined,
    exportedAt: head.at,
    withheldRows,
  };
};
