import { passiveOperations } from '../../../schema/reconcile/operation.ts';
import type { Keeper, SeenTarget } from '../keeper.ts';
import type { CaseEnd } from './drift-case.ts';

/** Resting so long counts; where nothing was done yet, so long that whoever looks must have seen it. */
const settledMs = 3000;
const unseenMs = 10_000;
const restingPhases = new Set(['clean', 'waiting', 'asking', 'contested', 'frozen']);
/** People, or who looks at the plan, have yet to say whether it is what is done. */
const undecided = new Set(['diagnosing', 'checking', 'awaiting-approval']);
/** An attempt that only waits leaves everything as it is. */
const onlyWaits = ({ fixes: [newest] }: SeenTarget): boolean =>
  newest !== undefined &&
  !undecided.has(newest.state) &&
  newest.plan?.steps.every(({ operation }) => passiveOperations.has(operation.op)) === true;

/** Where the target rests: it says so, and has said so for a while. */
export const waitForRest = async (keeper: Keeper, name: string, known: number, mostMs: number): Promise<SeenTarget | undefined> => {
  const until = Date.now() + mostMs;
  let since = Date.now();
  let last = '';
  for (;;) {
    const seen = await keeper.look(name);
    const text = JSON.stringify([seen.phase, seen.fixes.map(({ id, state }) => [id, state])]);
    if (text !== last) since = Date.now();
    last = text;
    if ((restingPhases.has(seen.phase) || onlyWaits(seen)) && Date.now() - since >= (seen.fixes.length > known ? settledMs : unseenMs))
      return seen;
    if (Date.now() > until) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

export const endOf = ({ phase, fixes }: SeenTarget): CaseEnd => {
  if (phase === 'asking' || phase === 'contested') return 'asked';
  const newest = fixes[0];
  if (newest?.state === 'asked') return 'asked';
  return phase === 'clean' && fixes.some(({ state }) => state === 'fixed') ? 'fixed' : 'left-alone';
};

/** Says with what was waited for in vain where the target is. */
export const tellWhere =
  (keeper: Keeper, name: string) =>
  async (error: Error): Promise<never> => {
    const { phase, message, fixes } = await keeper.look(name);
    const [newest] = fixes;
    throw new Error(`${error.message}: ${phase}, ${message}; ${fixes.length} fixes, newest ${newest?.state} ${newest?.message}`);
  };
