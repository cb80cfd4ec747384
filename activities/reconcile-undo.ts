import { Context } from '@temporalio/activity';
import { isEqualJson } from '../reconcile/json-pointer.ts';
import { withoutFields } from '../reconcile/rewritten-fields.ts';
import { type UndoStep, undoPlan } from '../reconcile/undo-plan.ts';
import { objectKey, writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { ReadObservation } from '../schema/reconcile/observation.ts';
import type { Plan } from '../schema/reconcile/plan.ts';
import { listSteps } from '../store/reconcile-steps.ts';
import { withHeartbeat } from './failures.ts';
import { mostTries, triesAfterMs } from './reconcile-apply.ts';
import { endFix, freeze } from './reconcile-close.ts';
import { ended, type FixCall, lookAgain, type NextStep, type ReconcileCollaborators } from './reconcile-context.ts';
import { loadPlannedFix } from './reconcile-load-fix.ts';
import { isUntouched, touchedPlan } from './reconcile-untouched.ts';
import { writeStep } from './reconcile-write.ts';
import { seeTarget, whyUnknown } from './targets/see-target.ts';

/**
 * What is not as it was before, out of what is seen: `lost` what should be there or should not, `other` what is there in another state. `rewritten`:
 * as before but for fields that somebody writes anew at each write, the undo's own too.
 */
const compare = async (
  plan: Plan,
  undone: readonly UndoStep[],
  { objects }: ReadObservation,
  readState: (digest: string) => Promise<unknown>,
): Promise<{ lost: string[]; other: string[]; rewritten: string[] }> => {
  const seen = new Map(objects.map((object) => [objectKey(object.ref), object]));
  const lost: string[] = [];
  const other: string[] = [];
  const rewritten: string[] = [];
  for (const { step, operation, rewritten: fields } of undone) {
    const before = plan.steps[step]?.precondition;
    const object = seen.get(objectKey(operation.object));
    const name = writeObjectRef(operation.object);
    if (operation.op === 'remove' && object?.uid === operation.uid && object.deletingSince === '') lost.push(`${name} is still there`);
    if (operation.op === 'restore' && object === undefined) lost.push(`${name} is not there`);
    else if (before?.kind === 'version' && object !== undefined && object.hash !== before.hash) {
      const isAsBefore =
        fields !== undefined &&
        operation.op === 'restore' &&
        isEqualJson(withoutFields(await readState(operation.stateDigest), fields.paths), withoutFields(object.state, fields.paths));
      if (isAsBefore) rewritten.push(`${name}${fields.paths.join(`, ${name}`)}`);
      else other.push(name);
    }
  }
  return { lost, other, rewritten };
};

/**
 * Undoes the next step, the last one first, and looks afterwards whether all is as it was before. An undo that fails, or of which nobody knows
 * though the system can be read, freezes the target; of a system that is away the undo waits until it is back.
 */
export const createUndoStep =
  (collaborators: ReconcileCollaborators) =>
  (call: FixCall): Promise<NextStep> =>
    withHeartbeat(async () => {
      const { database, contents } = collaborators;
      const { fixId, tries = 0 } = call;
      const signal = Context.current().cancellationSignal;
      const found = await loadPlannedFix(collaborators, call, 'undoing');
      if (!found.ok) return found.step;
      const { fix, loaded } = found;
      const { plan } = fix;
      const { target } = loaded;
      if (!(await isUntouched(collaborators, fix))) return freeze(collaborators, call, target, fix, touchedPlan);
      const rows = await listSteps(database, fixId);
      const outcomeOf = (direction: 'do' | 'undo', step: number) =>
        rows.find((row) => row.direction === direction && row.step === step)?.outcome ?? null;
      const seen = await seeTarget(collaborators, target, signal);
      // nothing failed where nobody can look: it goes on from here once it can be read
      const isAway = whyUnknown(seen) !== undefined;
      const undoing = undoPlan(
        plan,
        plan.steps.map((_, step) => outcomeOf('do', step)),
        seen.observation,
      );
      const pending = undoing.find(({ step }) => {
        const outcome = outcomeOf('undo', step);
        return outcome === null || outcome.kind === 'unknown' || outcome.kind === 'failed';
      });
      // its undoing was declared with it; what is declared by that name now is another call, which nobody has looked at
      if (pending?.operation.op === 'undoAct' && plan.generation !== target.generation)
        return freeze(
          collaborators,
          call,
          target,
          fix,
          `step ${pending.step + 1} cannot be undone as it was declared: the target was declared anew since.`,
        );
      if (pending) {
        const outcome = await writeStep(collaborators, call, target, fix, { fixId, direction: 'undo', ...pending }, signal);
        const again = { next: 'undo', fixId } as const;
        if (outcome.kind === 'unknown' && tries < mostTries) return { ...again, afterMs: triesAfterMs(tries), tries: tries + 1 };
        if (outcome.kind === 'failed' && outcome.reason === 'fenced') return ended;
        if (outcome.kind === 'unknown' && isAway) return lookAgain;
        if (outcome.kind === 'failed' || outcome.kind === 'unknown')
          return freeze(collaborators, call, target, fix, `step ${pending.step + 1} could not be undone: ${outcome.message}.`);
        return { ...again, afterMs: 0 };
      }
      if (isAway || seen.observation.status !== 'read') return lookAgain;
      const { lost, other, rewritten } = await compare(plan, undoing, seen.observation, (digest) => contents.getJson(call, digest));
      if (lost.length > 0)
        return tries < mostTries
          ? { next: 'undo', fixId, afterMs: triesAfterMs(tries), tries: tries + 1 }
          : freeze(collaborators, call, target, fix, `after the undo ${lost.join(', ')}.`);
      const nothing = undoing.length === 0 ? ' Nothing was to be undone.' : ' It was undone.';
      const differs = other.length > 0 ? ` Somebody has changed ${other.join(', ')} since.` : '';
      const anew = rewritten.length > 0 ? ` Whatever is written, somebody else writes ${rewritten.join(', ')} anew.` : '';
      return endFix(collaborators, call, fix, fix.endsAs ?? 'rolled-back', { message: `${fix.message}${nothing}${differs}${anew}` });
    });
