import { canonicalText } from '../reconcile/canonical-text.ts';
import { makePlan } from '../reconcile/make-plan.ts';
import { normaliseOperations } from '../reconcile/normalise-operations.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import type { Drift } from '../schema/reconcile/drift.ts';
import type { ProposableOperation } from '../schema/reconcile/operation.ts';
import type { Plan, PlanFault, PlanSource } from '../schema/reconcile/plan.ts';
import type { ContentStore } from '../store/contents.ts';
import { digestOfText } from '../store/exact-call.ts';
import type { FixPatch } from '../store/reconcile-fixes.ts';
import type { Seen } from './targets/see-target.ts';

/** What policy decides about and people approve: all of a plan, in one order. */
export const planDigestOf = (plan: Plan): string => digestOfText(canonicalText(plan));

/**
 * A plan of operations for a drift, with the states that undoing goes back to kept sealed, before anything is done.
 * @returns what goes into the row of the fix
 */
export const preparePlan = async (
  contents: ContentStore,
  input: {
    target: TargetOf;
    drift: Drift;
    operations: readonly ProposableOperation[];
    source: PlanSource;
    evidenceDigest: string;
  } & Seen,
): Promise<{ ok: true; plan: Plan; patch: FixPatch } | { ok: false; faults: PlanFault[] }> => {
  const { org, project } = input.target;
  const made = makePlan({ ...input, digest: contents.digestOf });
  if (!made.ok) return made;
  const { plan, kept } = made;
  for (const { state } of kept) await contents.put({ org, project }, canonicalText(state), 'reconcile-state');
  const normalDigest = digestOfText(normaliseOperations(plan));
  return { ok: true, plan, patch: { plan, planDigest: planDigestOf(plan), normalDigest } };
};
