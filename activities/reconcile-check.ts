import { Context } from '@temporalio/activity';
import { reconcilerId } from '../policy/caller-entities.ts';
import { canonicalText } from '../reconcile/canonical-text.ts';
import { faultAt } from '../reconcile/fault-at.ts';
import { askingText, isPassivePlan } from '../reconcile/passive-plan.ts';
import type { ApprovalNeed } from '../schema/approval.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { Plan, PlanFault } from '../schema/reconcile/plan.ts';
import { moveFix } from '../store/reconcile-fixes.ts';
import { withHeartbeat } from './failures.ts';
import { askPeople, endFix, endHalfBegun } from './reconcile-close.ts';
import { ended, type FixCall, isClosed, lookAgain, type NextStep, type ReconcileCollaborators, reportPhase } from './reconcile-context.ts';
import type { FixAnswer } from './reconcile-decide.ts';
import { type Examined, examinePlan } from './reconcile-examine.ts';
import { loadFix } from './reconcile-load-fix.ts';
import { keepSeen } from './reconcile-seen.ts';

const saidOf = (faults: readonly PlanFault[]): string => faults.map(({ message }) => message).join(' ');

/** What follows where a plan does not pass: a refusal asks nobody. Undefined where it passes. */
export const endUnlessPassing = async (
  collaborators: ReconcileCollaborators,
  call: FixCall,
  fix: Fix,
  examined: Examined,
): Promise<NextStep | undefined> => {
  switch (examined.kind) {
    case 'passes':
      return undefined;
    case 'unknown':
      return lookAgain; // which says so, and waits; the fix stays as it is
    case 'gone':
      return endFix(collaborators, call, fix, 'left-alone', { message: 'The fault is gone, and not by this.' });
    case 'stale':
      return endFix(collaborators, call, fix, 'stale', { message: examined.why });
    case 'refused':
      return endFix(collaborators, call, fix, 'refused', { faults: examined.faults, message: saidOf(examined.faults) });
  }
};

/** Asks people for exactly this plan, by its digest; asked again it is the same approval. */
const askForFix = async (
  { approvals }: ReconcileCollaborators,
  { org, project, target }: FixCall,
  fix: Fix,
  plan: Plan,
  answer: FixAnswer,
  need: ApprovalNeed,
): Promise<string> => {
  const reconciler = reconcilerId({ org, project }, target);
  const { decisionId, policies, owner, policyVersion } = answer;
  const { id } = await approvals.ask(
    {
      ...{ org, project, need, decisionId, kind: 'fix', subject: `${target}: ${faultAt(fix.fingerprint)}`.slice(0, 200) },
      ...{ principal: `agent:${reconciler}`, person: owner, agent: reconciler, role: null, fleet: null, run: null },
      ...{ toolset: '', server: '', tool: '', definitionHash: '' },
      ...{ operationId: fix.id, digest: fix.planDigest, argumentsDigest: fix.planDigest, text: canonicalText(plan) },
    },
    {
      ...{ org, project, decisionId, policies, policyVersion, person: owner, agent: reconciler, operationId: fix.id },
      ...({ kind: 'change', action: 'askApproval', decision: 'allow', outcome: 'pending' } as const),
    },
  );
  return id;
};

/**
 * Checks a plan, has the system try it, and asks policy what becomes of it: it is applied, people are asked, or it is refused. A plan passes
 * here whoever made it, a rule too.
 */
export const createCheckFix =
  (collaborators: ReconcileCollaborators) =>
  (call: FixCall): Promise<NextStep> =>
    withHeartbeat(async () => {
      const { database, contents, decider } = collaborators;
      const { fence, fixId, org, project, target: name } = call;
      const key = { org, project, target: name, id: fixId };
      const found = await loadFix(collaborators, call, 'checking');
      if (!found.ok) return found.step;
      const { fix, loaded } = found;
      if (!fix.plan)
        return fix.message === ''
          ? endHalfBegun(collaborators, call, fix)
          : endFix(collaborators, call, fix, 'refused', { message: fix.message });
      if (isClosed(loaded)) return lookAgain;
      const { plan } = fix;
      const examined = await examinePlan(collaborators, loaded, fix, plan, Context.current().cancellationSignal);
      if (examined.kind === 'refused' && examined.isRepeated) {
        const message = `The same was proposed before and refused, and nothing is known since: ${saidOf(examined.faults)}`;
        return askPeople(collaborators, call, loaded.target, fix, { faults: examined.faults, message });
      }
      const over = await endUnlessPassing(collaborators, call, fix, examined);
      if (over || examined.kind !== 'passes') return over ?? lookAgain;
      const { facts, blast, review, seen, fault } = examined;
      const question = { fixId, plan, planDigest: fix.planDigest, blast, target: loaded.target, ...facts };
      const answer = await decider.decideFix(question);
      const { decisionId, policyVersion } = answer;
      const decided = { decisionId, policyVersion, review };
      switch (answer.kind) {
        case 'refuse':
          return endFix(collaborators, call, fix, 'denied', { ...decided, message: `${answer.rule}: ${answer.advice}` });
        case 'ask': {
          // nobody approves that nothing is done: those who would be asked are asked what it is about
          if (isPassivePlan(plan)) return askPeople(collaborators, call, loaded.target, fix, { ...decided, message: askingText(plan) });
          const approvalId = await askForFix(collaborators, call, fix, plan, answer, answer.need);
          const patch = { ...decided, approvalId, message: answer.need.reason };
          if ((await moveFix(database, key, ['checking'], 'awaiting-approval', patch, fence)) !== 'moved') return ended;
          await reportPhase(collaborators, call, 'awaiting-approval', `${approvalId}: ${faultAt(fix.fingerprint)}`);
          return lookAgain;
        }
        case 'apply': {
          const seenDigest = await keepSeen(contents, call, { ...fault, ...seen });
          if ((await moveFix(database, key, ['checking'], 'applying', { ...decided, seenDigest }, fence)) !== 'moved') return ended;
          await reportPhase(collaborators, call, 'fixing', fix.message);
          return { next: 'apply', fixId, afterMs: 0 };
        }
      }
    });
