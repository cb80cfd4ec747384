import { fitsRule } from '../../policy/approval-rules.ts';
import type { Approval, DecideApproval, Verdict } from '../../schema/approval.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import type { Person } from '../../store/people.ts';
import { markTold } from '../../store/tell-agents.ts';
import type { ApiConfig, ApiDependencies, ApiTarget } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import type { Permit } from './permit.ts';
import { contextFacts, recordBasis } from './record-basis.ts';

/** What is the person's of whom an installation of one person consists. */
const mayApproveOwn = ({ profile }: Pick<ApiConfig, 'profile'>): boolean => profile === 'solo';

/** An approval as policies see it. */
export const approvalTarget = ({ id, person, rules }: Approval, config: Pick<ApiConfig, 'profile'>): ApiTarget => ({
  kind: 'Approval',
  name: id,
  approval: {
    owner: person,
    approvers: [...new Set(rules.flatMap(({ approvers }) => approvers))],
    mayApproveOwn: mayApproveOwn(config),
  },
});

/**
 * Answers an approval for a person, after Cedar: never for the one who would call or on whose behalf, unless there is nobody else. The row
 * is the truth; a waiting workflow is told after it, and the controller's sweep repeats what Temporal does not take.
 * @throws {PlatformError} `not_permitted`, `conflict`, `approval_expired`
 */
export const answerApproval = async (
  { database, audit, temporal, logger, permit }: ApiDependencies & { permit: Permit },
  config: Pick<ApiConfig, 'profile'>,
  person: Person,
  approval: Approval,
  verdict: Verdict,
  { digest, comment }: DecideApproval,
): Promise<Approval> => {
  const { org, project, id, agent, role, fleet, run, server, tool } = approval;
  const permitted = await permit(person, 'approve', approval, approvalTarget(approval, config));
  const { decisionId, policies } = permitted;
  const isAlone = mayApproveOwn(config);
  const counted = approval.rules.filter((rule) => isAlone || fitsRule(rule, person)).map(({ policy }) => policy);
  const stamp = approval.person === person.id ? 'self' : person.stamp;
  const decided = await decideApproval(
    database,
    audit,
    { org, project, id },
    { person: person.id, verdict, digest, policies: counted, stamp, comment: comment ?? null, decisionId },
    {
      ...{ org, project, decisionId, policies, stamp, agent, role, fleet, run, server, tool },
      kind: 'change',
      action: verdict === 'approve' ? 'approve' : 'denyApproval',
      decision: 'allow',
      person: person.id,
      outcome: 'ok',
      resource: `Approval/${id}`,
      basis: await recordBasis(database, approval, permitted),
      facts: { digest, ...contextFacts(permitted) },
    },
    { mayApproveOwn: isAlone },
  );
  if (agent !== null && (decided.state === 'approved' || decided.state === 'denied'))
    await temporal
      .tellAgent({ agent, approvalId: id })
      .then(() => markTold(database, id))
      .catch((error) => logger.warn({ cause: describeCause(error), approval: id }, 'a decision was not told; the sweep repeats it'));
  return decided;
};
