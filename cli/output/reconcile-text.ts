import { describeStep } from '../../reconcile/describe-step.ts';
import type { TriedStep } from '../../schema/reconcile/fix.ts';
import { writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { PastFixDetail, TargetExplanation } from '../../schema/reconcile/requests.ts';
import type { TargetStatus } from '../../schema/reconcile/target-state.ts';
import { plainText } from './plain-text.ts';
import { renderTableWithin } from './table.ts';
import { formatAge, formatCost, formatDuration } from './units.ts';

const untilText = (at: string, now: Date): string => {
  const leftMs = Date.parse(at) - now.getTime();
  return leftMs > 0 ? `in ${formatDuration(leftMs)}` : 'now';
};

/** What a target waits for, in a few words: whose turn it is comes first. */
const waitsFor = ({ phase, approvalId, approvalExpiresAt, pause, isPausedBySpec, heldUntil, dueAt }: TargetStatus, now: Date): string => {
  if (phase === 'awaiting-approval' && approvalId)
    return `a person${approvalExpiresAt ? `, ${untilText(approvalExpiresAt, now).replace('in ', 'expires in ')}` : ''}`;
  if (phase === 'frozen') return 'a person, who lifts the freeze';
  if (phase === 'asking') return 'a person, who mends it by hand';
  if (pause) return `resume (paused by ${pause.pausedBy}${pause.untilAt ? `, ends ${untilText(pause.untilAt, now)}` : ''})`;
  if (isPausedBySpec) return 'its declaration, which pauses it';
  if (heldUntil) return `a hold, ends ${untilText(heldUntil, now)}`;
  return dueAt ? `its time, ${untilText(dueAt, now)}` : '';
};

/** The approval has a column of its own. */
const whatText = ({ message, approvalId }: TargetStatus): string =>
  approvalId && message.startsWith(`${approvalId}: `) ? message.slice(approvalId.length + 2) : message;

/**
 * What an ops person reads first; targets that need somebody come first.
 * @param columns - width of the screen; undefined for none
 */
export const statusTable = (targets: readonly TargetStatus[], now: Date, columns?: number): string => {
  const rank = ({ phase }: TargetStatus): number =>
    ['frozen', 'asking', 'awaiting-approval', 'contested', 'unknown'].indexOf(phase) + 1 || (phase === 'clean' ? 9 : 8);
  const rows = targets
    .toSorted((one, other) => rank(one) - rank(other))
    .map((target) => [
      target.target,
      target.phase,
      String(target.drifts.length),
      waitsFor(target, now),
      target.changedAt ? formatAge(target.changedAt, now) : '',
      target.approvalId ?? '',
      whatText(target) || target.drifts.map(({ kind, object }) => `${kind} ${writeObjectRef(object)}`).join(', '),
    ]);
  const head = ['TARGET', 'PHASE', 'DRIFTS', 'WAITS FOR', 'SINCE', 'APPROVAL', 'WHAT'];
  return renderTableWithin(head, rows, { columns, below: ['WHAT', 'WAITS FOR', 'APPROVAL'] });
};

export const explanationText = ({ sentences }: TargetExplanation): string => sentences.map((one) => plainText(one)).join('\n');

const short = (hash: string): string => hash.slice(0, 12) || '(nothing)';

const outcomeText = ({ direction, step, outcome, beforeHash, afterHash }: TriedStep): string => {
  const what = `${direction === 'undo' ? 'undo of step' : 'step'} ${step + 1}`;
  if (outcome === null) return `${what}: begun, and not known how it ended`;
  const change = `${short(beforeHash)} -> ${short(afterHash)}`;
  switch (outcome.kind) {
    case 'applied':
      return `${what}: applied at ${outcome.at}, ${change}`;
    case 'unchanged':
      return `${what}: nothing to change`;
    case 'failed':
      return `${what}: failed (${outcome.reason}): ${outcome.message}`;
    case 'unknown':
      return `${what}: unknown: ${outcome.message}`;
  }
};

const planText = ({ plan }: PastFixDetail): string[] => {
  if (plan === null) return [];
  const { source, steps } = plan;
  const by =
    source.kind === 'rule'
      ? `the rule ${source.rule}`
      : source.kind === 'model'
        ? `the role ${source.role} (${source.model})`
        : source.person;
  return [
    `plan      by ${by}`,
    ...(source.kind === 'model' ? [`says      ${source.diagnosis}`] : []),
    ...steps.map(({ operation }, index) => `  ${index + 1}. ${describeStep(operation)}`),
  ];
};

/** One fix with its plan, what each step did (hashes of the object before and after), and how it ended. */
export const fixText = (fix: PastFixDetail): string => {
  const lines = [
    `fault     ${fix.faultKind}`,
    ...(fix.planDigest ? [`digest    ${fix.planDigest}`] : []),
    ...planText(fix),
    ...fix.faults.map(({ code, message }) => `refused   ${code}: ${message}`),
    ...fix.steps.map((step) => `  ${outcomeText(step)}`),
    ...(fix.evidenceDigest ? [`evidence  ${fix.evidenceDigest}`] : []),
    ...(fix.approvalId ? [`approval  ${fix.approvalId}`] : []),
    ...(fix.decisionId ? [`decision  ${fix.decisionId}${fix.policyVersion ? ` of policies ${fix.policyVersion.slice(0, 12)}` : ''}`] : []),
    ...(fix.modelCalls > 0 ? [`model     ${fix.modelCalls} calls, ${formatCost(fix.costMicroUsd)}`] : []),
    ...(fix.message ? [`message   ${fix.message}`] : []),
  ];
  const ended = fix.endedAt ? `ended ${fix.endedAt}` : 'under way';
  return [`${fix.id}: ${fix.state} (began ${fix.beganAt}, ${ended})`, ...lines.map((line) => `  ${plainText(line)}`)].join('\n');
};
