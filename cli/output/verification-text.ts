import type { AuditBreach, AuditVerification } from '../../schema/audit-verification.ts';

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

/** What was looked at and what it is worth, for people. */
export const verificationLines = (found: AuditVerification): string[] => {
  const { rows, links, chains, checkpoints, unchainedRows, unsignedRows, unclosed, hasOutsideCopy, moreBreaches } = found;
  const size = `${counted(rows, 'row')} in ${counted(links, 'commit')} of ${counted(chains, 'chain')}, ${counted(checkpoints, 'checkpoint')}`;
  return [
    ...found.breaches.map(breachLine),
    ...(moreBreaches > 0 ? [`and ${moreBreaches} more`] : []),
    found.ok ? `The audit is as it was written: ${size}.` : `The audit was changed: ${size}.`,
    ...(unsignedRows > 0 ? [`${counted(unsignedRows, 'row is', 'rows are')} newer than the last checkpoint of their chain.`] : []),
    ...(unclosed.length > 0
      ? [`${counted(unclosed.length, 'chain has', 'chains have')} no end: a process was killed, lost the database, or still runs.`]
      : []),
    ...(unchainedRows > 0 ? [`${counted(unchainedRows, 'row is', 'rows are')} from before there were chains.`] : []),
    ...(hasOutsideCopy ? [] : ['There is no copy of the checkpoints outside the database.']),
  ];
};
