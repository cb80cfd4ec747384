import type { Approval, ApprovalDetail } from '../../schema/approval.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import { openApprovedCall } from '../../store/approvals.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { recordChange } from './record-change.ts';

/**
 * An approval with what would be run, for a person who may see it; that they looked is in the audit first. The text is made of the very
 * bytes that the digest is of, with every character to be seen.
 * @throws {PlatformError} `secret_unavailable`, `internal` where the stored call is not the approval's
 */
export const showApproval = async (
  { database, audit, approvalKeys }: Pick<ApiDependencies, 'database' | 'audit' | 'approvalKeys'>,
  person: Person,
  decision: ApiDecision,
  approval: Approval,
): Promise<ApprovalDetail> => {
  const call = await openApprovedCall(database, approvalKeys, approval);
  const { id, agent, role, fleet, run, server, tool } = approval;
  const what = { kind: 'call' as const, action: 'seeApproval', resource: `Approval/${id}` };
  await recordChange(audit, database, approval, person, decision, { ...what, agent, role, fleet, run, server, tool });
  const shown = call.inputResponses === undefined ? call.arguments : { arguments: call.arguments, inputResponses: call.inputResponses };
  return { ...approval, arguments: withHiddenShown(JSON.stringify(shown, undefined, 2)) };
};
