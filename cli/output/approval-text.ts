import { reachText } from '../../reconcile/fix-text.ts';
import type { Approval, ApprovalDetail } from '../../schema/approval.ts';
import type { ShownFix } from '../../schema/reconcile/shown-fix.ts';
import { plainText } from './plain-text.ts';
import { renderTableWithin } from './table.ts';
import { formatAge, formatDuration } from './units.ts';

/** `read/reader/0 of run_1, for ada`, or the person. */
const callerText = ({ kind, agent, run, person }: Approval): string =>
  kind === 'fix'
    ? `the reconciler, for ${person}`
    : agent === null
      ? person
      : `${agent.split('/').slice(4).join('/')} of ${run}, for ${person}`;

/** `2 of role:reviewer or group:ops` */
const ruleText = ({ approvers, count }: Approval['rules'][number]): string => `${count > 1 ? `${count} of ` : ''}${approvers.join(' or ')}`;

const leftText = ({ state, expiresAt }: Approval, now: Date): string => {
  const leftMs = Date.parse(expiresAt) - now.getTime();
  return (state === 'pending' || state === 'approved') && leftMs > 0 ? `in ${formatDuration(leftMs)}` : '';
};

const answerText = ({ person, verdict, at, stamp, comment }: Approval['decisions'][number]): string =>
  `${person} ${verdict === 'approve' ? 'approved' : 'denied'} it at ${at} (${stamp})${comment === null ? '' : `: ${comment}`}`;

/** @param columns - width of the screen; undefined for none */
export const approvalTable = (approvals: Approval[], now: Date, columns?: number): string =>
  renderTableWithin(
    ['APPROVAL', 'STATE', 'WHAT', 'WHO ASKS', 'WHO APPROVES', 'AGE', 'EXPIRES', 'REASON'],
    approvals.map((approval) => [
      approval.id,
      approval.state,
      approval.kind === 'call' ? `${approval.server}/${approval.tool}` : approval.subject,
      callerText(approval),
      approval.rules.map(ruleText).join(', and '),
      formatAge(approval.requestedAt, now),
      leftText(approval, now),
      approval.reason,
    ]),
    { columns, below: ['REASON', 'WHO APPROVES', 'WHO ASKS', 'WHAT'] },
  );

/** What a fix is for and what it would do. What a model said is marked as its words: it decides nothing. */
const fixLines = (fix: ShownFix, now: Date): string[] => {
  const { blast, confidence } = fix;
  const reach = blast ? reachText(blast) : 'not known';
  const facts: [string, string][] = [
    ['target', fix.target],
    ['fault', fix.fault],
    ['since', `${fix.sinceAt} (${formatAge(fix.sinceAt, now)} ago)`],
    ['why', fix.why],
    ['proposed', `${fix.proposedBy}${confidence === null ? '' : `, ${Math.round(confidence * 100)} % sure`}`],
    ['reach', reach],
    ...(fix.evidenceDigest ? [['evidence', `${fix.evidenceDigest} (--evidence shows it)`] satisfies [string, string]] : []),
    ...(fix.contact ? [['contact', fix.contact] satisfies [string, string]] : []),
    ...(fix.became ? [['became', fix.became] satisfies [string, string]] : []),
  ];
  return [
    ...facts.map(([name, text]) => `  ${name.padEnd(9)} ${plainText(text)}`),
    ...(fix.diagnosis
      ? ['What the model says, in its own words:', ...fix.diagnosis.split('\n').map((line) => `  " ${plainText(line)}`)]
      : []),
    'What would be done, step by step:',
    ...fix.steps.flatMap(({ operation, expected, undo, dryRun }, index) => [
      `  ${index + 1}. ${plainText(operation)}`,
      ...dryRun.map((line) => `     dry-run: ${plainText(line)}`),
      `     then:    ${plainText(expected)}`,
      `     undo:    ${plainText(undo)}`,
    ]),
  ];
};

/**
 * One approval for a person who is to decide: who, what, why, until when, and what would be run. Each line of the call is marked, so that
 * nothing in it can pass for a line of ours.
 */
export const approvalText = (approval: ApprovalDetail, now: Date): string => {
  const { id, kind, subject, state, server, tool, toolset, reason, rules, requestedAt, expiresAt, operationId, digest, decisions, you } =
    approval;
  const left = leftText(approval, now);
  const facts: [string, string][] = [
    kind === 'call' ? ['tool', `${tool} of ${server}, behind ${toolset}`] : ['what', subject],
    [kind === 'call' ? 'who calls' : 'who asks', callerText(approval)],
    ['why asked', reason === '' ? rules.map(({ policy }) => policy).join(', ') : reason],
    ['approves', rules.map(ruleText).join(', and ')],
    ...(you ? [['you', you.mayApprove ? 'may approve it, or deny it' : `may not approve it. ${you.why}`] satisfies [string, string]] : []),
    ['asked', requestedAt],
    [
      'expires',
      left === '' ? expiresAt : `${expiresAt} (${left}${state === 'pending' ? '; no answer counts as no, and changes nothing' : ''})`,
    ],
    ...(operationId === '' ? [] : [['operation', operationId] satisfies [string, string]]),
    ['digest', digest],
    ...decisions.map((decision): [string, string] => ['answer', answerText(decision)]),
  ];
  return [
    `Approval ${id}: ${state}`,
    ...facts.map(([name, text]) => `  ${name.padEnd(9)} ${plainText(text)}`),
    ...(approval.fix ? fixLines(approval.fix, now) : []),
    kind === 'fix' ? 'The plan that the digest is of, as JSON:' : `What would be ${kind === 'call' ? 'run' : 'in force'}, as JSON:`,
    ...approval.arguments.split('\n').map((line) => `  | ${plainText(line)}`),
  ].join('\n');
};

/**
 * The last lines before a person is asked: what was shown is longer than a screen, and the plan's bytes come last.
 */
export const approvalInShort = ({ id, subject, fix }: ApprovalDetail): string =>
  fix
    ? [
        `In short, ${id}:`,
        `  ${plainText(fix.fault)}`,
        ...fix.steps.map(({ operation, undo }, index) => `  ${index + 1}. ${plainText(operation)} (undo: ${plainText(undo)})`),
        `  reach: ${fix.blast ? reachText(fix.blast) : 'not known'}`,
      ].join('\n')
    : `In short, ${id}${subject === '' ? '' : `: ${plainText(subject)}`}`;
