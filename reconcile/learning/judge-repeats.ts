import type { Fix } from '../../schema/reconcile/fix.ts';

/** One attempt of a repeated fix, and who approved it. */
export type ApprovedFix = Fix & { approvers: readonly string[] };
export type Repeats = { fixes: number; people: number; targets: number; takenBack: number };

/** So often, by so many people, on so many targets, before a fix is taken for a rule. */
export const enoughRepeats = { fixes: 5, people: 2, targets: 3 } as const;

const takenBack: ReadonlySet<Fix['state']> = new Set(['ineffective', 'rolled-back', 'frozen']);

/** Whether a fix was verified and people let it through: what a rule did by itself teaches nothing. */
export const isTeaching = ({ state, plan, approvers }: ApprovedFix): boolean =>
  state === 'fixed' && plan !== null && plan.source.kind !== 'rule' && approvers.length > 0;

/** Counts what speaks for and against a fix, out of all attempts with the same operations for the same kind of fault. */
export const countRepeats = (attempts: readonly ApprovedFix[]): Repeats => {
  const teaching = attempts.filter(isTeaching);
  return {
    fixes: teaching.length,
    people: new Set(teaching.flatMap(({ approvers }) => approvers)).size,
    targets: new Set(teaching.map(({ target }) => target)).size,
    takenBack: attempts.filter(({ state }) => takenBack.has(state)).length,
  };
};

/** Whether a fix has been right often enough to be proposed as a rule; one that was ever taken back is not. */
export const isLearnt = ({ fixes, people, targets, takenBack: bad }: Repeats): boolean =>
  bad === 0 && fixes >= enoughRepeats.fixes && people >= enoughRepeats.people && targets >= enoughRepeats.targets;

/** Whether a fix by a rule ended so that the rule must not act any more. */
export const isAgainstRule = ({ state, plan }: Fix): boolean => plan?.source.kind === 'rule' && takenBack.has(state);
