import type { Fix } from '../schema/reconcile/fix.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { TargetOperation } from '../schema/reconcile/operation.ts';
import type { StepOutcome } from '../schema/reconcile/plan.ts';
import { IgnoreRuleSchema } from '../schema/resources/reconcile-target.ts';
import { digestOfText } from '../store/exact-call.ts';
import { beginStep, endStep } from '../store/reconcile-steps.ts';
import { underFence } from '../store/reconcile-targets.ts';
import { applyResources, canonicalJson, findApplier, findResource } from '../store/resources.ts';
import type { FixCall, ReconcileCollaborators } from './reconcile-context.ts';
import type { FixWrite } from './reconcile-write.ts';

type AddIgnoreRule = Extract<TargetOperation, { op: 'addIgnoreRule' }>;

/**
 * Leaves a field alone from now on, by a rule in the target itself: a change of how it is kept, and none of the system. It stays declared by
 * who declared it. Made again after a kill it is there already.
 */
export const addIgnoreRule = async (
  { database, audit, clock }: Pick<ReconcileCollaborators, 'database' | 'audit' | 'clock'>,
  call: FixCall,
  fix: Fix,
  { operation, fixId, direction, step }: FixWrite & { operation: AddIgnoreRule },
): Promise<StepOutcome> => {
  const { fence, org, project, target: name } = call;
  const { object, path, manager } = operation;
  const rule = IgnoreRuleSchema.parse({ object, path, ...(manager ? { manager } : {}), reason: `fix ${fix.id}` });
  const done = await underFence(database, { org, project, target: name }, fence, async (executor): Promise<StepOutcome> => {
    const place = { org, project, kind: 'ReconcileTarget', name } as const;
    const begun = await beginStep(executor, { fixId, direction, step, fence, beforeHash: '' });
    if (begun.outcome !== null) return begun.outcome;
    const stored = await findResource(executor, place);
    if (!stored) return { kind: 'failed', reason: 'precondition', message: 'the target is declared no more' };
    const isThere = stored.spec.ignore.some((one) => canonicalJson(one) === canonicalJson(rule));
    const spec = isThere ? stored.spec : { ...stored.spec, ignore: [...stored.spec.ignore, rule] };
    const { apiVersion, kind, metadata } = stored;
    const owner = (await findApplier(executor, place)) ?? null;
    const [applied] = await applyResources(executor as typeof database, [{ apiVersion, kind, metadata, spec }], owner);
    const hash = digestOfText(canonicalJson(spec));
    const at = clock().toISOString();
    const outcome: StepOutcome = { kind: 'applied', version: String(applied?.resource.generation ?? 0), hash, uid: stored.uid, at };
    await endStep(executor, { fixId, direction, step }, outcome, hash);
    await audit.append(executor as typeof database, [
      {
        ...{ org, project, operationId: begun.operationId, policyVersion: fix.policyVersion, decisionId: fix.decisionId ?? '' },
        ...({ kind: 'change', action: 'applyFix', decision: 'allow', outcome: 'ok' } as const),
        resource: `ReconcileTarget/${name}`,
        facts: {
          fix: fix.id,
          plan: fix.planDigest,
          evidence: fix.evidenceDigest,
          step,
          operation: operation.op,
          object: writeObjectRef(object),
          path,
        },
      },
    ]);
    return outcome;
  });
  return done.held ? done.value : { kind: 'failed', reason: 'fenced', message: 'a later holder has taken the target' };
};
