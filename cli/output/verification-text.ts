import type { AuditBreach, AuditVerification } from '../../schema/audit-verification.ts';
import { removedText } from '../../schema/retention.ts';

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

const placeOf = ({ writer, epoch, link, sequence }: AuditBreach): string =>
  [
    sequence === null ? undefined : `row ${sequence}`,
    writer === null ? undefined : `writer ${writer}`,
    epoch === null ? undefined : `epoch ${epoch}`,
    link === null ? undefined : `commit ${link}`,
  ]
    .filter((part) => part !== undefined)
    .join(', ');

/** One line for each thing that is wrong: where, what kind, and why it is known. */
export const breachLine = (breach: AuditBreach): string => `${breach.kind}  ${placeOf(breach) || 'checkpoints'}: ${breach.message}`;

const shownUnclosed = 5;

/** Chains without an end, the newest first. */
const unclosedLines = (unclosed: AuditVerification['unclosed']): string[] => {
  if (unclosed.length === 0) return [];
  const newest = unclosed.toSorted((a, b) => (a.at < b.at ? 1 : -1)).slice(0, shownUnclosed);
  const more = unclosed.length - newest.length;
  return [
    `${counted(unclosed.length, 'chain has', 'chains have')} no end: a process was killed, lost the database, or still runs. That is no breach.`,
    ...newest.map(({ writer, epoch, link, at }) => `  writer ${writer}, epoch ${epoch}: unclosed after commit ${link} of ${at}`),
    ...(more > 0 ? [`  and ${more} more; \`-o json\` lists all`] : []),
  ];
};

/** What was looked at and what it is worth, for people. */
export const verificationLines = (found: AuditVerification): string[] => {
  const { rows, links, chains, checkpoints, unchainedRows, unsignedRows, unclosed, hasOutsideCopy, moreBreaches } = found;
  const size = `${counted(rows, 'row')} in ${counted(links, 'commit')} of ${counted(chains, 'chain')}, ${counted(checkpoints, 'checkpoint')}`;
  return [
    ...found.breaches.map(breachLine),
    ...(moreBreaches > 0 ? [`and ${moreBreaches} more`] : []),
    found.ok ? `The audit is as it was written: ${size}.` : `The audit was changed: ${size}.`,
    ...(unsignedRows > 0 ? [`Not signed yet: ${counted(unsignedRows, 'row')} since the last checkpoint of the chain.`] : []),
    ...found.removed.map(
      (removed) =>
        `${counted(removed.rows, 'row was', 'rows were')} ${removedText(removed, removed)}, as the chain says: their digests are left.`,
    ),
    ...unclosedLines(unclosed),
    ...(unchainedRows > 0 ? [`${counted(unchainedRows, 'row is', 'rows are')} from before there were chains.`] : []),
    ...(hasOutsideCopy ? [] : ['There is no copy of the checkpoints outside the database.']),
  ];
};
