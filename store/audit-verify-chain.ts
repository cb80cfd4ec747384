import type { AuditBreach } from '../schema/audit-verification.ts';
import { chainBegin } from './audit-chain.ts';
import type { Checkpoint } from './audit-checkpoint.ts';
import { type StoredLink, type StoredRow, verifyLink } from './audit-verify-link.ts';

export type ChainEnd = { writer: string; epoch: number; link: number; at: string; isClosed: boolean; unsignedRows: number };

/**
 * Checks one chain, commit by commit as they come: whether each follows the one before, is as it was, and is what checkpoints say.
 * @param checkpoints - of this chain
 */
export const createChainCheck = (
  { writer, epoch }: { writer: string; epoch: number },
  checkpoints: readonly Checkpoint[],
  report: (breach: AuditBreach) => void,
) => {
  const signed = new Map(checkpoints.map((checkpoint) => [checkpoint.link, checkpoint]));
  const lastSigned = checkpoints.reduce((most, { link }) => Math.max(most, link), 0);
  let last: StoredLink | undefined;
  let lastSequence = Number.NEGATIVE_INFINITY;
  let unsignedRows = 0;
  const at = (link: number) => ({ writer, epoch, link });

  /** What came between the last commit and this one. */
  const follows = (link: StoredLink, rows: readonly StoredRow[]): void => {
    const sequence = rows[0]?.sequence ?? null;
    const expected = (last?.number ?? 0) + 1;
    const end = last?.hash ?? chainBegin({ writer, epoch });
    if (link.number > expected) {
      const gone = link.number === expected + 1 ? `commit ${expected} is` : `commits ${expected} to ${link.number - 1} are`;
      const where = last ? `after the one at ${last.at}` : 'at the beginning of the chain';
      report({ kind: 'link-missing', ...at(expected), sequence, message: `${gone} gone with all rows, ${where}` });
    } else if (!link.previous.equals(end))
      report({
        kind: 'link-changed',
        ...at(link.number),
        sequence,
        message: `the commit at ${link.at} does not follow from the one before: that one was replaced`,
      });
    if (last?.closes)
      report({ kind: 'row-inserted', ...at(link.number), sequence, message: 'a commit was added to a chain that had ended' });
    if (sequence !== null && sequence < lastSequence)
      report({
        kind: 'rows-reordered',
        ...at(link.number),
        sequence,
        message: `row ${sequence} is numbered before rows that were written earlier`,
      });
  };

  return {
    next: (link: StoredLink, rows: readonly StoredRow[]): void => {
      follows(link, rows);
      for (const found of verifyLink(link, rows)) report(found);
      const checkpoint = signed.get(link.number);
      if (checkpoint && checkpoint.hash !== link.hash.toString('hex'))
        report({
          kind: 'chain-replaced',
          ...at(link.number),
          sequence: rows[0]?.sequence ?? null,
          message: `the chain up to here is not the one that checkpoint ${checkpoint.number} signed at ${checkpoint.at}`,
        });
      if (link.number > lastSigned) unsignedRows += rows.length;
      last = link;
      lastSequence = rows.reduce((most, row) => Math.max(most, row.sequence), lastSequence);
    },
    end: (): ChainEnd => {
      const reached = last?.number ?? 0;
      if (reached < lastSigned) {
        const { number, at: when } = signed.get(lastSigned) as Checkpoint;
        const where = last ? `after the commit at ${last.at}` : 'all of it';
        report({
          kind: 'tail-missing',
          ...at(reached + 1),
          sequence: null,
          message: `the end of the chain is cut off, ${where}: checkpoint ${number} of ${when} had seen ${lastSigned} commits, ${reached} are left`,
        });
      }
      return { writer, epoch, link: reached, at: last?.at ?? '', isClosed: last?.closes ?? false, unsignedRows };
    },
  };
};
