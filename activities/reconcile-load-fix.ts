import type { Fix } from '../schema/reconcile/fix.ts';
import type { FixState } from '../schema/reconcile/target-state.ts';
import { findFix } from '../store/reconcile-fixes.ts';
import {
  type FixCall,
  type LoadedTarget,
  loadTarget,
  lookAgain,
  type NextStep,
  type ReconcileCollaborators,
  resumed,
} from './reconcile-context.ts';

/** A fix with its target, ready to be worked at; or what follows instead. */
export type LoadedFix<F extends Fix = Fix> = { ok: true; fix: F; loaded: LoadedTarget } | { ok: false; step: NextStep };
export type PlannedFix = Fix & { plan: NonNullable<Fix['plan']> };

/**
 * The fix that an activity is called for, out of its row: an activity that is made again finds what an earlier try of it has already moved on.
 * @param state - in which the activity works at it; in any other its own activity follows
 */
export const loadFix = async (
  { database, clock, learn }: Pick<ReconcileCollaborators, 'database' | 'clock'> & Partial<Pick<ReconcileCollaborators, 'learn'>>,
  call: FixCall,
  state: FixState,
): Promise<LoadedFix> => {
  const fix = await findFix(database, call.fixId);
  // only a worker that was killed right after its end comes back for it: what it taught is learned once
  if (fix?.endedAt) await learn?.(fix);
  const loaded = await loadTarget({ database, clock }, call);
  if (!fix || !loaded || fix.endedAt !== null) return { ok: false, step: lookAgain };
  return fix.state === state ? { ok: true, fix, loaded } : { ok: false, step: resumed(fix) };
};

/** The same, of a fix that has its plan. */
export const loadPlannedFix = async (
  collaborators: Pick<ReconcileCollaborators, 'database' | 'clock'> & Partial<Pick<ReconcileCollaborators, 'learn'>>,
  call: FixCall,
  state: FixState,
): Promise<LoadedFix<PlannedFix>> => {
  const found = await loadFix(collaborators, call, state);
  if (!found.ok) return found;
  const { fix, loaded } = found;
  return fix.plan === null ? { ok: false, step: lookAgain } : { ok: true, fix: { ...fix, plan: fix.plan }, loaded };
};
