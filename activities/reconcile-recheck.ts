import { Context } from '@temporalio/activity';
import { reconcilerId } from '../policy/entities.ts';
import { getApproval } from '../store/approvals.ts';
import { findFix, moveFix } from '../store/reconcile-fixes.ts';
import { withHeartbeat } from './failures.ts';
import { endUnlessPassing } from './reconcile-check.ts';
import { endFix, tellPeople } from './reconcile-close.ts';
import {
  ended,
  type FixCall,
  gateOf,
  loadTarget,
  lookAgain,
  type NextStep,
  type ReconcileCollaborators,
  reportPhase,
  resumed,
} from './reconcile-context.ts';
import { examinePlan } from './reconcile-examine.ts';
import { keepSeen } from './reconcile-seen.ts';

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
      const fix = await findFix(database, fixId);
      const loaded = await loadTarget(collaborators, call);
      if (!fix?.plan || !loaded || fix.endedAt !== null) return lookAgain;
      if (fix.state !== 'awaiting-approval' || fix.approvalId === null) return resumed(fix);
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
        const text = `nobody answered ${approvalId} in time, so nothing was changed: ${fix.faultKind}.`;
        await tellPeople(collaborators, loaded.target, `${fixId}/expired`, text);
        return endFix(collaborators, call, fix, 'expired', { message });
      }
      if (approval.kind !== 'fix' || approval.digest !== planDigest)
        return endFix(collaborators, call, fix, 'refused', { message: `The approval ${approvalId} is for other bytes than this plan.` });
      // what people approved waits as everything else does; a look says until when
      if (gateOf(loaded)) return lookAgain;

      const examined = await examinePlan(collaborators, loaded, fix, plan, Context.current().cancellationSignal);
      const over = await endUnlessPassing(collaborators, call, fix, examined);
      if (over || examined.kind !== 'passes') return over ?? lookAgain;
      const { facts, blast, seen, fault } = examined;
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
      const patch = { decisionId, policyVersion, seenDigest };
      if ((await moveFix(database, key, ['awaiting-approval'], 'applying', patch, fence)) !== 'moved') return ended;
      await reportPhase(collaborators, call, 'fixing', fix.message);
      return { next: 'apply', fixId, afterMs: 0 };
    });
