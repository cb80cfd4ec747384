import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { AuditBreach } from '../schema/audit-verification.ts';
import { linkHash } from './audit-chain.ts';
import { auditDigest, auditText } from './audit-rows.ts';

/** A row as the database has it: `at` with microseconds, in UTC. */
export type StoredRow = {
  sequence: number;
  at: string;
  event: NewAuditEvent;
  writer: string | null;
  epoch: number | null;
  link: number | null;
  position: number | null;
  digest: Buffer | null;
  /** Of an export: a row of another project, of which nothing but its digest is there. */
  isWithheld?: boolean;
  /** The removal by which retention took all of it but the digest. */
  removal?: string;
};
export type StoredLink = {
  writer: string;
  epoch: number;
  number: number;
  rows: number;
  previous: Buffer;
  hash: Buffer;
  closes: boolean;
  at: string;
};

/** The instant as it was written: with milliseconds; one that has more is not ours. */
const writtenAt = (at: string): string => at.replace(/000Z$/, 'Z');

const breach = (
  kind: AuditBreach['kind'],
  { writer, epoch, number }: Pick<StoredLink, 'writer' | 'epoch' | 'number'>,
  sequence: number | null,
  message: string,
): AuditBreach => ({ kind, writer, epoch, link: number, sequence, message });

export const isRowAsWritten = ({ event, at, digest, isWithheld = false, removal }: StoredRow): boolean =>
  digest !== null && (isWithheld || removal !== undefined || auditDigest(auditText(event, writtenAt(at))) === digest.toString('hex'));

/** Where rows of a link are missing: behind which row the first of them stood. */
const missingAt = (link: StoredLink, rows: readonly StoredRow[]): AuditBreach => {
  const places = new Set(rows.map(({ position }) => position));
  const gone = Array.from({ length: link.rows }, (_, index) => index + 1).filter((position) => !places.has(position));
  const before = rows.findLast(({ position }) => position !== null && position < (gone[0] ?? 0));
  const after = before ? ` after row ${before.sequence}` : '';
  const what = `${link.rows - rows.length} of ${link.rows} rows of the commit at ${link.at} are gone, the first${after} (position ${gone[0] ?? '?'})`;
  return breach('row-missing', link, rows.find(({ position }) => position !== null && position > (gone[0] ?? 0))?.sequence ?? null, what);
};

/**
 * Compares a commit with the rows that are there under its name, in the order of their positions.
 * @returns what is wrong, the most telling thing first; nothing for a commit as it was
 */
export const verifyLink = (link: StoredLink, rows: readonly StoredRow[]): AuditBreach[] => {
  const changed = rows.find((row) => !isRowAsWritten(row));
  if (changed)
    return [breach('row-changed', link, changed.sequence, `row ${changed.sequence} does not say what was written at ${changed.at}`)];
  if (rows.length < link.rows) return [missingAt(link, rows)];
  if (rows.length > link.rows) {
    const extra = rows.find(({ position }, index) => position !== index + 1) ?? rows.at(-1);
    return [breach('row-inserted', link, extra?.sequence ?? null, `the commit had ${link.rows} rows and has ${rows.length} now`)];
  }
  const misplaced = rows.find(
    ({ position, sequence }, index) => position !== index + 1 || sequence <= (rows[index - 1]?.sequence ?? Number.NEGATIVE_INFINITY),
  );
  if (misplaced)
    return [breach('rows-reordered', link, misplaced.sequence, `row ${misplaced.sequence} does not stand where it was written`)];
  const made = linkHash(
    link.previous,
    rows.map(({ digest }) => (digest as Buffer).toString('hex')),
    link.closes,
  );
  if (made.equals(link.hash)) return [];
  const first = rows[0]?.sequence ?? null;
  return [
    breach('link-changed', link, first, `the rows of the commit, from ${first ?? 'none'} on, are not those that its hash was made of`),
  ];
};
