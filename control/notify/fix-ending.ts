import type { Approval } from '../../schema/approval.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import type { FixState } from '../../schema/reconcile/target-state.ts';

/** How a fix that people approved ended, and what they do next: `title` in a few words, `now` in a sentence, `next` as a command. */
export type FixEnding = { title: string; now: string; next: string };

/** Ends before anything of it was applied. */
const notApplied: ReadonlySet<FixState> = new Set(['stale', 'denied', 'refused', 'expired', 'left-alone']);

/**
 * What came of what people approved; undefined while it is not over, and where they did not approve it.
 * @param at - options of commands that say where the target is
 */
export const fixEnding = ({ decisions, state }: Approval, fix: Fix | undefined, at: string): FixEnding | undefined => {
  const isApproved = state === 'consumed' || (state === 'expired' && decisions.some(({ verdict }) => verdict === 'approve'));
  if (!fix || fix.endedAt === null || !isApproved) return undefined;
  const command = (verb: string): string => `quarterdeck reconcile ${verb} ${fix.target}${at}`;
  switch (fix.state) {
    case 'fixed':
      return { title: 'It helped', now: 'Nothing is left to do.', next: command('history') };
    case 'ineffective':
      return {
        title: 'It did not help, and was undone',
        now: 'The fault is there still. `explain` says what is tried next, or by whom it has to be mended.',
        next: command('explain'),
      };
    case 'rolled-back':
      return {
        title: 'It made things worse, and was undone',
        now: 'The fault is there still. `explain` says what is tried next, or by whom it has to be mended.',
        next: command('explain'),
      };
    case 'frozen':
      return {
        title: 'Its undo failed, and the target is frozen',
        now: 'Nothing is changed there any more. Look at what it touched, mend it by hand, and lift the freeze with your reason.',
        next: `${command('thaw')} --reason TEXT`,
      };
    default:
      return {
        title: notApplied.has(fix.state) ? 'Nothing of it was applied' : 'It was not carried through',
        now: 'What is still not as declared is looked at anew; `explain` says what comes next.',
        next: command('explain'),
      };
  }
};
