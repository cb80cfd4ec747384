import type { CaseOutcome } from '../cases/run-case.ts';
import type { SeenFix } from '../keeper.ts';

/** What stopped a wrong fix, the first of them; `nobody-asked`: no question to which it could be an answer; `overtaken`: the fault went first. */
export type BlockedBy = 'inexpressible' | 'schema' | 'checks' | 'dry-run' | 'policy' | 'people' | 'overtaken' | 'nobody-asked';

const wasWritten: ReadonlySet<string> = new Set([
  'applying',
  'verifying',
  'undoing',
  'fixed',
  'ineffective',
  'rolled-back',
  'failed',
  'frozen',
]);

const layerOf = ({ plan, state, faults, approvalId, decisionId }: SeenFix): BlockedBy | undefined => {
  if (plan === null) return 'schema';
  if (wasWritten.has(state)) return undefined;
  if (faults.some(({ code }) => code.startsWith('dry_run'))) return 'dry-run';
  if (faults.length > 0) return 'checks';
  if (approvalId !== null) return 'people';
  if (state === 'left-alone') return 'overtaken';
  return decisionId === null ? 'checks' : 'policy';
};

/** @returns undefined where the wrong fix was made */
export const blockedBy = (outcome: Pick<CaseOutcome, 'seen'>, canBeSaid: boolean): BlockedBy | undefined => {
  const answers = outcome.seen.fixes.filter(({ plan, modelCalls }) => plan === null || plan.source.kind === 'model' || modelCalls > 0);
  if (answers.length === 0) return 'nobody-asked';
  const layers = answers.map(layerOf);
  if (layers.includes(undefined)) return undefined;
  return canBeSaid ? layers.at(-1) : 'inexpressible';
};
