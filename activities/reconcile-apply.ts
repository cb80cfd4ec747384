import { Context } from '@temporalio/activity';
import { closedGate } from '../reconcile/closed-gate.ts';
import { isPassivePlan, questionOf } from '../reconcile/passive-plan.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import type { Fix, TriedStep } from '../schema/reconcile/fix.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import { passiveOperations } from '../schema/reconcile/operation.ts';
import type { PlanStep, StepOutcome } from '../schema/reconcile/plan.ts';
import type { FixState } from '../schema/reconcile/target-state.ts';
import { listStandingFixes, moveFix } from '../store/reconcile-fixes.ts';
import { beginStep, endStep, listSteps } from '../store/reconcile-steps.ts';
import { withHeartbeat } from './failures.ts';
import { askPeople, endFix, freeze } from './reconcile-close.ts';
import {
  diffNow,
  ended,
  type FixCall,
  type LoadedTarget,
  lookAgain,
  type NextStep,
  type ReconcileCollaborators,
  reportPhase,
} from './reconcile-context.ts';
import { loadPlannedFix, type PlannedFix } from './reconcile-load-fix.ts';
import { isUntouched, touchedPlan } from './reconcile-untouched.ts';
import { writeStep } from './reconcile-write.ts';
import { seeTarget, whyUnknown } from './targets/see-target.ts';

/** Of what may have happened the system is asked again so often, ever later; then it is undone. */
export const mostTries = 6;
export const triesAfterMs = (tries: number): number => Math.min(10_000, 250 * 2 ** tries);

const isDone = ({ outcome }: TriedStep): boolean => outcome?.kind === 'applied' || outcome?.kind === 'unchanged';
const mayHaveWritten = ({ outcome }: TriedStep): boolean => outcome?.kind === 'applied' || outcome?.kind === 'unknown';

/** Leaves the plan and goes back to where it began. */
export const beginUndo = async (
  { database }: Pick<ReconcileCollaborators, 'database'>,
  { fence, fixId, org, project, target }: FixCall,
  endsAs: FixState,
  message: string,
): Promise<NextStep> => {
  const from: FixState[] = ['applying', 'verifying', 'undoing'];
  const moved = await moveFix(
    database,
    { org, project, target, id: fixId },
    from,
    'undoing',
    { endsAs, message: message.slice(0, 2000) },
    fence,
  );
  return moved === 'moved' ? { next: 'undo', fixId, afterMs: 0 } : ended;
};

/** What changes nothing in the system: waiting for its time, a question to its owner, or leaving it. */
const doPassive = async (
  { database, clock }: ReconcileCollaborators,
  call: FixCall,
  { faultKind }: Fix,
  step: number,
  { operation }: PlanStep,
): Promise<NextStep | StepOutcome> => {
  const { fence, fixId } = call;
  const key = { fixId, direction: 'do', step } as const;
  const begun = await beginStep(database, { ...key, fence, beforeHash: '' });
  if (begun.outcome !== null) return begun.outcome;
  if (operation.op === 'wait') {
    // two clocks may be apart: it is never longer than was declared
    const leftMs = Math.min(Date.parse(begun.beganAt) - clock().getTime(), 0) + operation.seconds * 1000;
    if (leftMs > 0) {
      const until = new Date(clock().getTime() + leftMs);
      // with its time in the row, whoever finds it there without a workflow goes on with it
      const waits = `Until ${until.toISOString()} it is waited for ${faultKind} to pass at ${writeObjectRef(operation.object)}.`;
      return (await reportPhase({ database }, call, 'waiting', waits, until)) ? { next: 'apply', fixId, afterMs: leftMs } : ended;
    }
  }
  const outcome: StepOutcome = { kind: 'unchanged', at: clock().toISOString() };
  await endStep(database, key, outcome);
  return outcome;
};

/** The target as its adapter gets it: what is applied again leaves what earlier fixes made other than declared. Undefined where it cannot be read. */
const keptTarget = async (
  collaborators: ReconcileCollaborators,
  loaded: LoadedTarget,
  fix: Fix,
  { operation }: PlanStep,
  signal: AbortSignal,
): Promise<TargetOf | undefined> => {
  if (operation.op !== 'reapply') return loaded.target;
  const standing = await listStandingFixes(collaborators.database, loaded.key);
  if (standing.every(({ id }) => id === fix.id)) return loaded.target;
  const seen = await seeTarget(collaborators, loaded.target, signal);
  return whyUnknown(seen) === undefined ? (await diffNow(collaborators, loaded, seen)).kept : undefined;
};

/**
 * A target that was declared anew is another than the one that was decided about: what its steps would do now (which manifest is applied,
 * which tool is called, in which cluster) nobody has approved. What was done is undone; of a step that was begun nobody knows.
 */
const leaveOldPlan = async (
  collaborators: ReconcileCollaborators,
  call: FixCall,
  { target }: LoadedTarget,
  fix: Fix,
  tried: readonly TriedStep[],
): Promise<NextStep> => {
  const message = `The target was declared anew (generation ${target.generation}); the plan was made for generation ${fix.plan?.generation}.`;
  for (const { fixId, direction, step, outcome } of tried)
    if (outcome === null) await endStep(collaborators.database, { fixId, direction, step }, { kind: 'unknown', message });
  return tried.some((one) => one.outcome === null || mayHaveWritten(one))
    ? beginUndo(collaborators, call, 'failed', message)
    : endFix(collaborators, call, fix, 'stale', { message });
};

const isAway = async (collaborators: ReconcileCollaborators, { target }: LoadedTarget): Promise<boolean> =>
  whyUnknown(await seeTarget(collaborators, target, Context.current().cancellationSignal)) !== undefined;

/** All steps are done: what was changed is verified; where nothing was, people are asked or it is left as it is. */
const finish = async (
  collaborators: ReconcileCollaborators,
  call: FixCall,
  { target }: LoadedTarget,
  fix: PlannedFix,
): Promise<NextStep> => {
  const question = questionOf(fix.plan);
  if (question !== '' && isPassivePlan(fix.plan)) return askPeople(collaborators, call, target, fix, { message: question });
  if (fix.plan.steps.every(({ operation }) => operation.op === 'nothing'))
    return endFix(collaborators, call, fix, 'left-alone', { message: 'Nothing is to be done about it.' });
  const { fence, fixId, org, project, target: name } = call;
  const key = { org, project, target: name, id: fixId };
  if ((await moveFix(collaborators.database, key, ['applying'], 'verifying', {}, fence)) !== 'moved') return ended;
  await reportPhase(collaborators, call, 'verifying', fix.message);
  return { next: 'judge', fixId, afterMs: 0 };
};

/** Does the next step of a plan that was not done yet, out of the rows. A step that fails leads back to where the plan began. */
export const createApplyStep =
  (collaborators: ReconcileCollaborators) =>
  (call: FixCall): Promise<NextStep> =>
    withHeartbeat(async () => {
      const { database } = collaborators;
      const { fixId, tries = 0 } = call;
      const found = await loadPlannedFix(collaborators, call, 'applying');
      if (!found.ok) return found.step;
      const { fix, loaded } = found;
      const { plan } = fix;
      const tried = (await listSteps(database, fixId)).filter(({ direction }) => direction === 'do');
      if (!(await isUntouched(collaborators, fix))) {
        // what would take back the steps that were done stands in the same row
        if (tried.some((one) => one.outcome === null || mayHaveWritten(one)))
          return freeze(collaborators, call, loaded.target, fix, touchedPlan);
        return endFix(collaborators, call, fix, 'refused', { message: touchedPlan });
      }
      const index = plan.steps.findIndex((_, step) => !tried.some((one) => one.step === step && isDone(one)));
      const step = plan.steps[index];
      if (step === undefined) return finish(collaborators, call, loaded, fix);
      if (plan.generation !== loaded.target.generation) return leaveOldPlan(collaborators, call, loaded, fix, tried);
      const gate =
        loaded.target.spec.onStop === 'undo'
          ? closedGate({ target: loaded.target, pause: loaded.pause, now: loaded.now.getTime() })
          : undefined;
      if (gate) return beginUndo(collaborators, call, 'stopped', `${gate.because} What was begun is taken back, as the target says.`);

      let outcome: StepOutcome | NextStep;
      if (passiveOperations.has(step.operation.op)) outcome = await doPassive(collaborators, call, fix, index, step);
      else {
        const { operation, precondition } = step;
        const write = { fixId, direction: 'do', step: index, operation, precondition } as const;
        const signal = Context.current().cancellationSignal;
        const kept = await keptTarget(collaborators, loaded, fix, step, signal);
        if (kept === undefined) return lookAgain; // which says that it cannot be read, and waits
        outcome = await writeStep(collaborators, call, kept, fix, write, signal);
      }
      if ('next' in outcome) return outcome;
      switch (outcome.kind) {
        case 'applied':
        case 'unchanged':
          return index === plan.steps.length - 1 ? finish(collaborators, call, loaded, fix) : { next: 'apply', fixId, afterMs: 0 };
        case 'unknown':
          if (tries < mostTries) return { next: 'apply', fixId, afterMs: triesAfterMs(tries), tries: tries + 1 };
          // a system that is away cannot be undone either: once it can be read the step is asked about again
          if (await isAway(collaborators, loaded)) return lookAgain;
          return beginUndo(collaborators, call, 'failed', `Nobody knows what became of step ${index + 1}: ${outcome.message}`);
        case 'failed': {
          if (outcome.reason === 'fenced') return ended;
          const message = `Step ${index + 1} failed (${outcome.reason}): ${outcome.message}`;
          if (tried.some((one) => one.step !== index && mayHaveWritten(one))) return beginUndo(collaborators, call, 'failed', message);
          const isChanged = outcome.reason === 'precondition' || outcome.reason === 'conflict';
          return endFix(collaborators, call, fix, isChanged ? 'stale' : 'failed', { message });
        }
      }
    });
