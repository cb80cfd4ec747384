import type { FixToDecide } from '../policy/decide-fix.ts';
import { canonicalText } from '../reconcile/canonical-text.ts';
import { changedSince, changedStep } from '../reconcile/changed-step.ts';
import { checkPlan } from '../reconcile/check-plan.ts';
import { isInWindow } from '../reconcile/is-in-window.ts';
import { createDriftMask } from '../reconcile/mask-drift.ts';
import { hasWritten, historyMs, wasRefused } from '../reconcile/past-fix.ts';
import { isOfPausedKind, pausedKinds } from '../reconcile/paused-kinds.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { FixReview } from '../schema/reconcile/fix-review.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired } from '../schema/reconcile/observation.ts';
import { passiveOperations } from '../schema/reconcile/operation.ts';
import type { BlastRadius, DryRun, Plan, PlanFault } from '../schema/reconcile/plan.ts';
import { listFixes } from '../store/reconcile-fixes.ts';
import { redactor } from '../telemetry/redactor.ts';
import { diffNow, type LoadedTarget, type ReconcileCollaborators } from './reconcile-context.ts';
import { planDigestOf } from './reconcile-plan.ts';
import { readSeen, type SeenFault } from './reconcile-seen.ts';
import { type Seen, seeTarget, whyUnknown } from './targets/see-target.ts';

type ReadDesired = Extract<Desired, { status: 'read' }>;

const hourMs = 3_600_000;

/** All that is known of a plan at this moment, read anew: nothing of an earlier look counts. */
export type Examined =
  | { kind: 'unknown' }
  /** What the plan was made for is not so any more. */
  | { kind: 'stale'; why: string }
  | { kind: 'gone' }
  /** `isRepeated`: a model proposed the same before, and it was refused. */
  | { kind: 'refused'; faults: PlanFault[]; isRepeated: boolean }
  | {
      kind: 'passes';
      blast: BlastRadius;
      review: FixReview;
      seen: Seen;
      fault: SeenFault;
      facts: Pick<FixToDecide, 'mustAsk' | 'dryRunOk' | 'inWindow' | 'stateHashFresh' | 'recentFixes' | 'isKindPaused'>;
    };

/** Of which step's object something else is declared than when the plan was made: another target of that name begins with the same generation. */
const redeclaredStep = (plan: Plan, { objects }: ReadDesired, digest: (text: string) => string): number => {
  const declared = new Map(objects.map(({ ref, state }) => [objectKey(ref), state]));
  return plan.steps.findIndex(({ operation, declaredDigest }) => {
    const state = declared.get(objectKey(operation.object));
    // what is declared only now, or no more, is the checks' to judge
    return declaredDigest !== undefined && state !== undefined && declaredDigest !== digest(canonicalText(state));
  });
};

const dryRunFault = (step: number, run: Extract<DryRun, { ok: false }>): PlanFault => ({
  code: `dry_run_${run.reason}`,
  step,
  message: `The system itself says of step ${step + 1}: ${run.message}`,
});

/**
 * Whether a model would do something to anything but what the fault is of. It may be right; but texts around a fault can have it do so, and
 * nothing that is well is touched on their word alone.
 */
const reachesElsewhere = ({ source, steps }: Plan, { drift }: SeenFault): boolean =>
  source.kind === 'model' &&
  steps.some(({ operation }) => !passiveOperations.has(operation.op) && objectKey(operation.object) !== objectKey(drift.object));

/** Looks at a plan as if nobody had: what is there now, the checks, the system's own dry-run, and what policy wants to know. It changes nothing. */
export const examinePlan = async (
  { database, contents, ports, clock }: Pick<ReconcileCollaborators, 'database' | 'contents' | 'ports' | 'clock'>,
  loaded: LoadedTarget,
  fix: Fix,
  plan: Plan,
  signal: AbortSignal,
): Promise<Examined> => {
  const { target, holds, now, key } = loaded;
  const refuse = (code: string, message: string): Examined => ({
    kind: 'refused',
    faults: [{ code, step: null, message }],
    isRepeated: false,
  });
  // the row is not believed either: what was decided about and approved is this digest
  if (planDigestOf(plan) !== fix.planDigest) return refuse('other_plan', 'The plan in the row is not the one that its digest is of.');
  const seen = await seeTarget({ ports, clock }, target, signal);
  const { desired, observation } = seen;
  if (whyUnknown(seen) !== undefined || observation.status !== 'read' || desired.status !== 'read') return { kind: 'unknown' };
  if (plan.generation !== target.generation)
    return { kind: 'stale', why: `The plan was made for generation ${plan.generation} of the target; now it is ${target.generation}.` };
  const redeclared = redeclaredStep(plan, desired, contents.digestOf);
  if (redeclared >= 0)
    return { kind: 'stale', why: `Something else is declared of what step ${redeclared + 1} is about since the plan was made.` };
  const { drifts, kept } = await diffNow({ database, contents }, loaded, seen);
  if (!drifts.some(({ fingerprint }) => fingerprint === fix.fingerprint)) return { kind: 'gone' };
  const changed = changedStep(plan, observation);
  if (changed >= 0) return { kind: 'stale', why: changedSince(changed) };
  const history = await listFixes(database, key, key.target, { sinceAt: new Date(now.getTime() - historyMs) });
  const fixes = history.filter(({ id }) => id !== fix.id);
  const isRepeated = wasRefused(plan, fixes);
  const checked = checkPlan({ plan, target, desired, observation, holds, now: now.getTime(), fixes });
  if (!checked.ok) return { kind: 'refused', faults: checked.faults, isRepeated };
  const port = ports.of(target.spec.type);
  if (!port) return { kind: 'unknown' };
  const mask = createDriftMask({ desired, observation, redact: redactor.text });
  const dryRuns: DryRun[] = [];
  for (const [step, { operation }] of plan.steps.entries()) {
    // what changes nothing in the system, or only how it is kept, is not the system's to try
    const isOfSystem = !passiveOperations.has(operation.op) && operation.op !== 'addIgnoreRule';
    const run: DryRun = isOfSystem ? mask.dryRun(operation.object, await port.dryRun(kept, operation, signal)) : { ok: true, diff: [] };
    if (!run.ok && run.reason === 'unreachable') return { kind: 'unknown' };
    if (!run.ok && run.reason === 'changed') return { kind: 'stale', why: run.message };
    if (!run.ok) return { kind: 'refused', faults: [dryRunFault(step, run)], isRepeated };
    dryRuns.push(run);
  }
  const fault = await readSeen(contents, key, fix.seenDigest);
  const recent = history.filter(({ beganAt }) => Date.parse(beganAt) >= now.getTime() - hourMs);
  return {
    kind: 'passes',
    blast: checked.blast,
    review: { drift: mask.drift(fault.drift), why: fault.why, blast: checked.blast, dryRuns },
    ...{ seen, fault },
    facts: {
      // somebody spoke to whoever reads the evidence, it reaches elsewhere, or a person wrote the plan: other people look at it
      mustAsk: fault.flagged > 0 || reachesElsewhere(plan, fault) || plan.source.kind === 'person',
      dryRunOk: true,
      inWindow: isInWindow(target.spec.windows, now.getTime()),
      stateHashFresh: true,
      recentFixes: recent.filter((one) => one.id !== fix.id && hasWritten(one)).length,
      isKindPaused: isOfPausedKind(plan, pausedKinds(target, fixes, now.getTime())),
    },
  };
};
