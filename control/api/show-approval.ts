import type { Approval, ApprovalDetail } from '../../schema/approval.ts';
import { isExactNumber, parseExactly } from '../../schema/exact-json.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import { type ApprovalKey, openApprovedCall, openApprovedText } from '../../store/approvals.ts';
import type { Database } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import type { ContentKeys } from '../../store/secrets/seal.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { recordChange } from './record-change.ts';
import { showFix } from './show-fix.ts';

/** Of a call the arguments, and what its caller answers to a server's questions. */
const shownCall = async (database: Database, keys: ContentKeys, key: ApprovalKey): Promise<unknown> => {
  const { arguments: given, inputResponses } = await openApprovedCall(database, keys, key);
  return inputResponses === undefined ? given : { arguments: given, inputResponses };
};

/** Texts of policies line by line, as people read them: in JSON a text is one line. */
const inLines = (value: unknown): unknown => {
  if (typeof value === 'string') return value.includes('\n') ? value.split('\n') : value;
  if (Array.isArray(value)) return value.map(inLines);
  // a number of many digits is an object of its own kind
  if (typeof value !== 'object' || value === null || isExactNumber(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, inLines(inner)]));
};

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
  const parsed = async () => parseExactly(await openApprovedText(database, approvalKeys, approval));
  const shown =
    approval.kind === 'call'
      ? await shownCall(database, approvalKeys, approval)
      : approval.kind === 'fix' // its texts are a model's, shown in their own place; here it is the plan as it is
        ? await parsed()
        : inLines(await parsed());
  const { id, kind, agent, role, fleet, run, server, tool } = approval;
  const what = { kind: 'call' as const, action: 'seeApproval', resource: `Approval/${id}` };
  const ofCall = kind === 'call' ? { agent, role, fleet, run, server, tool } : {};
  await recordChange(audit, database, approval, person, decision, { ...what, ...ofCall });
  const fix = await showFix(database, approval);
  return { ...approval, arguments: withHiddenShown(JSON.stringify(shown, undefined, 2)), ...(fix ? { fix } : {}) };
};
