import { canonicalText } from '../../reconcile/canonical-text.ts';
import { makePlan } from '../../reconcile/make-plan.ts';
import { normaliseOperations } from '../../reconcile/normalise-operations.ts';
import type { Approval, EditFix } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Drift } from '../../schema/reconcile/drift.ts';
import type { Desired, Observation } from '../../schema/reconcile/observation.ts';
import { type Answer, decideApproval } from '../../store/decide-approval.ts';
import { digestOfText } from '../../store/exact-call.ts';
import { submittersOfFix } from '../../store/fix-submitters.ts';
import type { Person } from '../../store/people.ts';
import { moveFix } from '../../store/reconcile-fixes.ts';
import { findTarget } from '../../store/reconcile-targets.ts';
import { approvalTarget } from './answer-approval.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { findWaitingFix } from './permit-fix.ts';
import { getTarget } from './reconcile-targets.ts';
import { recordChange } from './record-change.ts';

const movedOn = (id: string): PlatformError =>
  new PlatformError('conflict', `The fix that ${id} asks about has moved on meanwhile; \`quarterdeck approvals ls\` shows what waits now.`);

/**
 * Puts a person's operations in the place of those that people are asked about. The approval that was asked for ends as denied by that person:
 * it was of other bytes. The new plan is the person's, so that somebody else has to approve it, and passes every check that a model's does.
 * @throws {PlatformError} `not_permitted`, `conflict`, `request_invalid`
 */
export const editFix = async (
  dependencies: ApiDependencies & { permit: Permit },
  person: Person,
  approval: Approval,
  { digest, operations, comment }: EditFix,
): Promise<Approval> => {
  const { database, audit, contentStore, temporal, logger, permit } = dependencies;
  const { org, project, id, agent } = approval;
  if (approval.kind !== 'fix')
    throw new PlatformError('request_invalid', `${id} is of no fix: only what the reconciler would do is edited.`);
  // who may answer may answer by something else; that others have to agree to it, policy says of the new plan
  const decision = await permit(person, 'approve', approval, approvalTarget(approval, 'deny'));
  const fix = await findWaitingFix(dependencies, approval);
  const key = { org, project, target: fix.target };
  const { generation, spec } = await getTarget(database, key);
  const seen = (await contentStore.getJson(key, fix.seenDigest)) as { drift: Drift; desired: Desired; observation: Observation };
  const made = makePlan({
    ...{ target: { org, project, name: fix.target, generation, spec }, operations, evidenceDigest: fix.evidenceDigest },
    ...{ drift: seen.drift, desired: seen.desired, observation: seen.observation },
    ...{ source: { kind: 'person', person: person.id }, digest: contentStore.digestOf },
  });
  if (!made.ok) throw new PlatformError('request_invalid', made.faults.map(({ message }) => message).join(' '));
  const { plan, kept } = made;
  for (const { state } of kept) await contentStore.put(key, canonicalText(state), 'reconcile-state');
  const planDigest = digestOfText(canonicalText(plan));

  const given: Answer = {
    ...({ person: person.id, verdict: 'deny', digest, policies: [], stamp: person.stamp, decisionId: decision.decisionId } as const),
    comment: `edited${comment ? `: ${comment}` : ''}`.slice(0, 500),
  };
  const decided = await inTransaction(database, async (within) => {
    const row = await findTarget(within, key);
    const patch = {
      ...{ plan, planDigest, normalDigest: digestOfText(normaliseOperations(plan)), approvalId: null, review: null },
      // whoever wrote what was there before has a part in what is made of it
      writers: [...new Set([...(await submittersOfFix(within, fix, spec)), person.id])].sort(),
      message: `edited by ${person.id}${comment ? `: ${comment}` : ''}`.slice(0, 2000),
    };
    const moved = await moveFix(within, { ...key, id: fix.id }, ['awaiting-approval'], 'checking', patch, row?.fence ?? -1);
    if (moved !== 'moved') throw movedOn(id);
    const resource = `Approval/${id}`;
    await recordChange(audit, within, key, person, decision, {
      ...{ action: 'editFix', resource, operationId: fix.id },
      facts: { from: fix.planDigest, to: planDigest, target: fix.target, steps: operations.map(({ op }) => op) },
    });
    const event = {
      ...{ org, project, decisionId: decision.decisionId, policies: decision.policies, stamp: person.stamp, agent, person: person.id },
      ...({ kind: 'change', action: 'denyApproval', decision: 'allow', outcome: 'ok' } as const),
      ...{ resource, facts: { digest, edited: true } },
    };
    return decideApproval(within, audit, { org, project, id }, given, event, { mayApproveOwn: false });
  });
  await temporal
    .startReconcile(key)
    .catch((error) => logger.warn({ cause: describeCause(error), target: fix.target }, 'a target was not looked at at once'));
  return decided;
};
