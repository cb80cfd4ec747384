import type { Plan, PlanStep } from '../schema/reconcile/plan.ts';
import type { FixState } from '../schema/reconcile/target-state.ts';
import { canonicalText } from './canonical-text.ts';

/** Decisions look this far back, and what was tried is remembered as long: in milliseconds. */
export const historyMs = 7 * 86_400_000;

/** One attempt out of the history, as much of its row as decisions need; instants as ISO 8601. */
export type PastFix = {
  id: string;
  fingerprint: string;
  state: FixState;
  plan: Plan | null;
  normalDigest: string;
  evidenceDigest: string;
  beganAt: string;
  endedAt: string | null;
};

const failedStates: ReadonlySet<FixState> = new Set(['failed', 'ineffective', 'rolled-back', 'refused', 'stale']);
/** Ends without a mended fault that count towards a block. `stale` counts: who plans again and again against a moving object stops too. */
export const isFailure = ({ state }: PastFix): boolean => failedStates.has(state);
const undoneStates: ReadonlySet<FixState> = new Set(['failed', 'ineffective', 'rolled-back']);
/** Whether what it did was taken back, as far as it did anything. */
export const wasUndone = ({ state, plan }: PastFix): boolean => plan !== null && undoneStates.has(state);
export const isRuleFix = ({ plan }: PastFix): boolean => plan?.source.kind === 'rule';
/** Whether it reached the applying of anything. */
export const hasWritten = ({ state }: PastFix): boolean =>
  ['applying', 'verifying', 'undoing', 'fixed', 'ineffective', 'rolled-back', 'stopped', 'failed', 'frozen'].includes(state);
export const endOf = ({ endedAt, beganAt }: PastFix): number => Date.parse(endedAt ?? beganAt);

/** Those of one fault, newest first. */
export const fixesOf = (fixes: readonly PastFix[], fingerprint: string): PastFix[] =>
  fixes.filter((fix) => fix.fingerprint === fingerprint).sort((one, other) => Date.parse(other.beganAt) - Date.parse(one.beganAt));

/** Failures since the last success: a success begins the count anew. */
export const failuresInRow = (ofFault: readonly PastFix[]): PastFix[] => {
  const ended = ofFault.filter(({ endedAt }) => endedAt !== null);
  const success = ended.findIndex(({ state }) => state === 'fixed');
  return (success === -1 ? ended : ended.slice(0, success)).filter(isFailure);
};

const seenBy = (steps: readonly Pick<PlanStep, 'operation' | 'precondition'>[]): string =>
  canonicalText(
    steps.map(({ operation, precondition }) => ({ operation, was: 'hash' in precondition ? precondition.hash : precondition.kind })),
  );
const operationsOf = (steps: readonly Pick<PlanStep, 'operation'>[]): string => canonicalText(steps.map(({ operation }) => operation));

/**
 * Whether the same operations were tried for the same fault, in vain, and nothing is known since that was not known then: the objects are as
 * they were, or the evidence is the same, byte for byte.
 */
export const wasInVain = (
  {
    fingerprint,
    steps,
    evidenceDigest,
  }: { fingerprint: string; steps: readonly Pick<PlanStep, 'operation' | 'precondition'>[]; evidenceDigest: string },
  fixes: readonly PastFix[],
): boolean =>
  fixes.some(
    ({ state, plan: earlier, ...fix }) =>
      (state === 'ineffective' || state === 'rolled-back') &&
      fix.fingerprint === fingerprint &&
      earlier !== null &&
      operationsOf(earlier.steps) === operationsOf(steps) &&
      (seenBy(earlier.steps) === seenBy(steps) || (evidenceDigest !== '' && fix.evidenceDigest === evidenceDigest)),
  );

/**
 * Whether a model proposed the same operations for the same fault before, and they were refused: people look at it then. A rule may do again
 * what was refused once, since it costs nothing and what refused it may be gone.
 */
export const wasRefused = ({ fingerprint, source, steps }: Plan, fixes: readonly PastFix[]): boolean =>
  source.kind === 'model' &&
  fixes.some(
    ({ state, plan, ...fix }) =>
      state === 'refused' &&
      fix.fingerprint === fingerprint &&
      plan?.source.kind === 'model' &&
      operationsOf(plan.steps) === operationsOf(steps),
  );
