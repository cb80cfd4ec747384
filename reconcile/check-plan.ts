import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import { passiveOperations } from '../schema/reconcile/operation.ts';
import { type BlastRadius, type Plan, type PlanFault, PlanSchema } from '../schema/reconcile/plan.ts';
import { measureBlast } from './check/blast-radius.ts';
import { checkFacts } from './check/check-facts.ts';
import { checkStep } from './check/check-step.ts';
import type { Hold } from './field-ownership.ts';
import { type PastFix, wasInVain } from './past-fix.ts';
import { prunedLately } from './prune-limit.ts';
import type { TargetOf } from './target-port.ts';

export type CheckedPlan = { ok: true; blast: BlastRadius } | { ok: false; faults: PlanFault[] };

const whole = (code: string, message: string): PlanFault => ({ code, step: null, message });

const checkReach = ({ spec }: TargetOf, blast: BlastRadius): PlanFault[] => [
  ...(blast.objects > spec.limits.objectsPerPlan
    ? [whole('too_many_objects', `The plan changes ${blast.objects} objects; ${spec.limits.objectsPerPlan} are the most.`)]
    : []),
  // one object is always allowed: it may be all that there is
  ...(blast.objects > 1 && blast.percent > spec.limits.percentPerPlan
    ? [
        whole(
          'too_many_percent',
          `The plan changes ${blast.percent.toFixed(0)} % of the target; ${spec.limits.percentPerPlan} % is the most.`,
        ),
      ]
    : []),
  ...(blast.isReversible || spec.allow.includes('irreversible-ok')
    ? []
    : [whole('irreversible', 'A step cannot be undone, and the target does not allow that.')]),
];

/** What the plan by itself does not show: that it was tried already, and that many small deletions are a large one. */
const checkHistory = (plan: Plan, { spec }: TargetOf, fixes: readonly PastFix[], now: number): PlanFault[] => {
  const prunes = plan.steps.filter(({ operation }) => operation.op === 'prune').map(({ operation }) => objectKey(operation.object));
  const deleted = new Set([...prunes, ...prunedLately(fixes, now).keys()]);
  return [
    ...(wasInVain(plan, fixes)
      ? [whole('tried_in_vain', 'The same was done for this fault without effect, and nothing is known since that was not known then.')]
      : []),
    ...(prunes.length > 0 && deleted.size > spec.limits.objectsPerPlan
      ? [whole('too_many_prunes', `${deleted.size} objects would be deleted within an hour; ${spec.limits.objectsPerPlan} are the most.`)]
      : []),
  ];
};

/**
 * Whether a plan is one of those that are ever allowed, whoever made it and whoever would approve it: a closed set. It passes here first; then
 * policy and people decide. What passes is not yet allowed.
 * @param holds - what people hold at `now` (milliseconds); by default the target's own
 * @param fixes - the history: what was tried in vain, and what was deleted within the last hour
 */
export const checkPlan = ({
  plan,
  target,
  desired,
  observation,
  holds,
  now,
  fixes = [],
}: {
  plan: Plan;
  target: TargetOf;
  desired: Desired;
  observation: Observation;
  holds?: readonly Hold[];
  now?: number;
  fixes?: readonly PastFix[];
}): CheckedPlan => {
  if (!PlanSchema.safeParse(plan).success) return { ok: false, faults: [whole('bad_plan', 'The plan does not fit the schema.')] };
  if (desired.status !== 'read' || observation.status !== 'read')
    return { ok: false, faults: [whole('unknown_state', 'What was declared or what is there cannot be read; nothing is changed.')] };
  if (plan.org !== target.org || plan.project !== target.project || plan.target !== target.name)
    return { ok: false, faults: [whole('foreign_target', `The plan is for ${plan.org}/${plan.project}/${plan.target}.`)] };
  if (plan.generation !== target.generation)
    return {
      ok: false,
      faults: [whole('stale_plan', `The plan was made for generation ${plan.generation}; now it is ${target.generation}.`)],
    };
  const held = holds ?? (target.holds ?? []).map((hold) => ({ ...hold, untilAt: '9999-12-31T00:00:00Z' }));
  const facts = checkFacts({ target, desired, observation, holds: held, nowMs: now ?? 0 });
  const faults = plan.steps.flatMap((step, index): PlanFault[] => {
    const found = checkStep(step, facts);
    return found === undefined ? [] : [{ ...found, step: index }];
  });
  const acting = plan.steps
    // an ignore rule is agreed, and writes nothing
    .filter(({ operation }) => !passiveOperations.has(operation.op) && operation.op !== 'addIgnoreRule')
    .map(({ operation }) => objectKey(operation.object));
  if (new Set(acting).size < acting.length)
    faults.push(
      whole('object_twice', 'An object is changed twice: the second step would be held against a state that the first has changed.'),
    );
  const known = new Set([...desired.objects, ...observation.objects.filter(({ isOurs }) => isOurs)].map(({ ref }) => objectKey(ref)));
  const blast = measureBlast(plan, known.size);
  faults.push(...checkReach(target, blast), ...checkHistory(plan, target, fixes, now ?? 0));
  return faults.length === 0 ? { ok: true, blast } : { ok: false, faults };
};
