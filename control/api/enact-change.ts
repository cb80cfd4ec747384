import type { Approval } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import { getApproval, openApprovedText } from '../../store/approvals.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import type { Database } from '../../store/database.ts';
import { readExactChange } from '../../store/exact-change.ts';
import { findPerson, type Person } from '../../store/people.ts';
import { acceptApproved } from './accept-pins.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import type { Enacting } from './enacting.ts';
import { publishApproved } from './publish-policies.ts';
import { releaseApproved } from './release-approved.ts';

/** Who proposed it, as they are now. @throws {PlatformError} `not_permitted` */
const findProposer = async (within: Database, { id, org, person }: Approval): Promise<Person> => {
  const found = await findPerson(within, org, person);
  if (!found || found.disabled)
    throw new PlatformError('not_permitted', `${person}, who proposed this, is not there any more; approval ${id} is void.`);
  return { ...found, stamp: 'proposal' };
};

/**
 * Puts a change into force that people approved: made out of the bytes that they approved, once, in the transaction of the last approval.
 * @throws {PlatformError} `conflict` where what it was made for has changed, `not_permitted` where its proposer may do it no more,
 *   `policy_red`, `secret_unavailable`, `internal`; nothing is in force then
 */
export const enactChange = async (
  dependencies: ApiDependencies,
  within: Database,
  approval: Approval,
  approver: Person,
  decision: ApiDecision,
): Promise<Approval> => {
  const { id, org, project, digest } = approval;
  const { audit, approvalKeys } = dependencies;
  const change = readExactChange(await openApprovedText(within, approvalKeys, approval));
  if (change.kind !== approval.kind || change.org !== org || change.project !== project)
    throw new PlatformError('internal', `What is stored of the approval ${id} is of another kind or project.`);
  const enacting: Enacting = { approval, proposer: await findProposer(within, approval), approver, decision };
  const event = {
    ...{ org, project, person: approver.id, stamp: approver.stamp, facts: { digest } },
    ...{ decisionId: decision.decisionId, policies: decision.policies },
    ...({ kind: 'change', action: 'useApproval', decision: 'allow', outcome: 'ok' } as const),
  };
  if (!(await createApprovalAsks(within, audit, approvalKeys).consume(id, id, event)))
    throw new PlatformError('conflict', `The approval ${id} was used up or is over; nothing was changed.`);
  switch (change.kind) {
    case 'publication':
      await publishApproved(dependencies, within, change, enacting);
      break;
    case 'definitions':
      await acceptApproved(dependencies, within, change, enacting);
      break;
    case 'release':
      await releaseApproved(dependencies, within, change, enacting);
      break;
  }
  return getApproval(within, approval);
};
