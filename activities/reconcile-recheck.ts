import { Context } from '@temporalio/activity';
import { reconcilerId } from '../policy/caller-entities.ts';
import { faultAt } from '../reconcile/fault-at.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import { isPlatformError } from '../schema/errors.ts';
import type { Plan } from '../schema/reconcile/plan.ts';
import { getApproval } from '../store/approvals.ts';
import { moveFix } from '../store/reconcile-fixes.ts';
import { withHeartbeat } from './failures.ts';
import { endUnlessPassing } from './reconcile-check.ts';
import { endFix } from './reconcile-close.ts';
import {
  ended,
  type FixCall,
  isClosed,
  lookAgain,
  type NextStep,
  type ReconcileCollaborators,
  reportPhase,
  resumed,
} from './reconcile-context.ts';
import type { FixDecider } from './reconcile-decide.ts';
import { examinePlan } from './reconcile-examine.ts';
import { loadPlannedFix } from './reconcile-load-fix.ts';
import { keepSeen } from './reconcile-seen.ts';

/**
 * Why a plan that an agent proposed is not to be applied on behalf of who declared the target: that person may use the role no more. Undefined
 * where they may, or where no agent proposed it.
 */
const whyNotOnBehalf = async (
  decider: Pick<FixDecider, 'authoriseDiagnosis'>,
  target: TargetOf,
  { source }: Plan,
): Promise<string | undefined> => {
  if (source.kind !== 'model') return undefined;
  try {
    await decider.authoriseDiagnosis(target, source.role);
    return undefined;
  } catch (error) {
    if (!isPlatformError(error) || error.isRetryable) throw error;
    return error.message;
  }
};

/**
 * Reads what became of an approval, out of its row and nothing else, and looks at everything again before anything runs: what is there now,
 * the checks, the dry-run, and policy with the people as they are now. An approval is used once, for the plan whose digest it is of.
 */
export const createRecheckFix =
  (collaborators: ReconcileCollaborators) =>
  (call: FixCall): Promise<NextStep> =>
    withHeartbeat(async () => {
      const { database, contents, approvals, decider } = collaborators;
      const { fence, fixId, org, project, target: name } = call;
      const found = await loadPlannedFix(collaborators, call, 'awaiting-approval');
      if (!found.ok) return found.step;
      const { fix, loaded } = found;
      if (fix.approvalId === null) return resumed(fix);
      const { plan, approvalId, planDigest } = fix;
      const approval = await getApproval(database, { org, project, id: approvalId });
      const isOurs = approval.state === 'consumed' && approval.kind === 'fix' && approval.digest === planDigest;
      if (approval.state === 'pending') return lookAgain;
      if (approval.state === 'denied') {
        const by = approval.decisions.find(({ verdict }) => verdict === 'deny');
        return endFix(collaborators, call, fix, 'denied', {
          message: `${by?.person ?? 'Somebody'} denied it${by?.comment ? `: ${by.comment}` : '.'}`,
        });
      }
      if (approval.state === 'expired') {
        const message = 'Nobody answered in time, which counts as denied.';
        const text = `nobody answered ${approvalId} in time, so nothing was changed: ${faultAt(fix.fingerprint)}. It was asked for ${approval.person}.`;
        return endFix(collaborators, call, fix, 'expired', { message }, { target: loaded.target, text });
      }
      if (approval.kind !== 'fix' || approval.digest !== planDigest)
        return endFix(collaborators, call, fix, 'refused', { message: `The approval ${approvalId} is for other bytes than this plan.` });
      // what people approved waits as everything else does; a look says until when
      if (isClosed(loaded)) return lookAgain;

      const examined = await examinePlan(collaborators, loaded, fix, plan, Context.current().cancellationSignal);
      const over = await endUnlessPassing(collaborators, call, fix, examined);
      if (over || examined.kind !== 'passes') return over ?? lookAgain;
      const { facts, blast, seen, fault } = examined;
      const lost = await whyNotOnBehalf(decider, loaded.target, plan);
      if (lost !== undefined) return endFix(collaborators, call, fix, 'denied', { message: lost });
      const people = await approvals.approversOf(approvalId);
      const question = {
        fixId,
        plan,
        planDigest,
        blast,
        target: loaded.target,
        ...facts,
        approval: { planDigest: approval.digest, people },
      };
      const answer = await decider.decideFix(question);
      const { decisionId, policyVersion, policies, owner } = answer;
      if (answer.kind === 'refuse')
        return endFix(collaborators, call, fix, 'denied', { decisionId, policyVersion, message: `${answer.rule}: ${answer.advice}` });
      if (answer.kind === 'ask')
        return endFix(collaborators, call, fix, 'denied', {
          ...{ decisionId, policyVersion },
          message: 'The people who approved it are, as they are now, not those whom policy asks for.',
        });
      const reconciler = reconcilerId({ org, project }, name);
      const event = {
        ...{ org, project, decisionId, policies, policyVersion, person: owner, agent: reconciler, operationId: fixId },
        ...({ kind: 'change', action: 'useApproval', decision: 'allow', outcome: 'ok' } as const),
        facts: { digest: planDigest, people },
      };
      // used by this very fix before a kill it is ours still; used by anything else it is not
      if (!isOurs && !(await approvals.consume(approvalId, fixId, event))) return lookAgain;
      const seenDigest = await keepSeen(contents, call, { ...fault, ...seen });
      const key = { org, project, target: name, id: fixId };
      // that people are asked is over: who looks now reads who said yes
      const message = `Approved by ${people.join(', ')}: ${faultAt(fix.fingerprint)}.`;
      const patch = { decisionId, policyVersion, seenDigest, message };
      if ((await moveFix(database, key, ['awaiting-approval'], 'applying', patch, fence)) !== 'moved') return ended;
      await reportPhase(collaborators, call, 'fixing', message);
      return { next: 'apply', fixId, afterMs: 0 };
    });
