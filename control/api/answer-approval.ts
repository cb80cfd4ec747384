import { fitsRule } from '../../policy/approval-rules.ts';
import type { Approval, DecideApproval, Verdict } from '../../schema/approval.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { isPlatformError } from '../../schema/errors.ts';
import type { Database } from '../../store/database.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { voidApproval } from '../../store/expire-approvals.ts';
import type { Person } from '../../store/people.ts';
import { markTold } from '../../store/tell-agents.ts';
import type { ApiConfig, ApiDependencies, ApiTarget } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import { enactChange } from './enact-change.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { permitFix } from './permit-fix.ts';
import { contextFacts, recordBasis } from './record-basis.ts';
import { refuseMovedFix } from './refuse-moved-fix.ts';

/** What is the person's of whom an installation of one person consists. */
const mayApproveOwn = ({ profile }: Pick<ApiConfig, 'profile'>): boolean => profile === 'solo';

/** An approval as policies see it. */
export const approvalTarget = ({ id, person, rules }: Approval, verdict: Verdict): ApiTarget => ({
  kind: 'Approval',
  name: id,
  approval: {
    owner: person,
    approvers: [...new Set(rules.flatMap(({ approvers }) => approvers))],
    verdict,
    acr: Math.max(1, ...rules.map(({ acr = 1 }) => acr)),
  },
});

/**
 * Answers an approval for a person, after Cedar: never for the one who would call or on whose behalf, unless there is nobody else. The row
 * is the truth; a waiting workflow is told after it, and the controller's sweep repeats what Temporal does not take. A change that is no call
 * is in force with its last approval, or with none.
 * @throws {PlatformError} `not_permitted`, `login_stale`, `conflict`, `approval_expired`, and what stands in the way of a change
 */
export const answerApproval = async (
  dependencies: ApiDependencies & { permit: Permit },
  config: Pick<ApiConfig, 'profile'>,
  person: Person,
  approval: Approval,
  verdict: Verdict,
  { digest, comment }: DecideApproval,
): Promise<Approval> => {
  const { database, audit, temporal, logger, permit } = dependencies;
  const { org, project, id, agent, role, fleet, run, server, tool } = approval;
  const permitted = await permit(person, 'approve', approval, approvalTarget(approval, verdict));
  if (approval.kind === 'fix' && verdict === 'approve') {
    await permitFix(dependencies, config, person, approval, digest);
    await refuseMovedFix(dependencies, approval);
  }
  const { decisionId, policies } = permitted;
  const isAlone = mayApproveOwn(config);
  const counted = approval.rules.filter((rule) => isAlone || fitsRule(rule, person)).map(({ policy }) => policy);
  const stamp = approval.person === person.id ? 'self' : (permitted.stamp ?? person.stamp);
  const event: NewAuditEvent = {
    ...{ org, project, decisionId, policies, stamp, agent, role, fleet, run },
    ...(approval.kind === 'call' ? { server, tool } : {}),
    kind: 'change',
    action: verdict === 'approve' ? 'approve' : 'denyApproval',
    decision: 'allow',
    person: person.id,
    outcome: 'ok',
    resource: `Approval/${id}`,
    basis: await recordBasis(database, approval, permitted),
    facts: { digest, ...contextFacts(permitted) },
  };
  const given = { person: person.id, verdict, digest, policies: counted, stamp, comment: comment ?? null, decisionId };
  const decide = (within: Database): Promise<Approval> =>
    decideApproval(within, audit, { org, project, id }, given, event, { mayApproveOwn: isAlone });
  // a call is made, and a fix applied, by who waits for it; all else is in force with the last approval
  if (approval.kind !== 'call' && approval.kind !== 'fix' && verdict === 'approve') {
    let isImpossible = false;
    const enact = async (within: Database): Promise<Approval> => {
      const decided = await decide(within);
      if (decided.state !== 'approved') return decided;
      isImpossible = true;
      const enacted = await enactChange(dependencies, within, decided, person, permitted);
      isImpossible = false;
      return enacted;
    };
    return inTransaction(database, enact, { lockOrg: org }).catch(async (error: unknown) => {
      // what the database could not do now it may do later
      if (isImpossible && !(isPlatformError(error) && error.isRetryable)) await voidApproval(database, audit, approval);
      throw error;
    });
  }
  const decided = await decide(database);
  if (agent !== null && (decided.state === 'approved' || decided.state === 'denied'))
    await temporal
      .tellAgent({ agent, approvalId: id })
      .then(() => markTold(database, id))
      .catch((error) => logger.warn({ cause: describeCause(error), approval: id }, 'a decision was not told; the sweep repeats it'));
  return decided;
};
