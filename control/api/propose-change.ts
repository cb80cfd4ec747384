import type { Approval, ApprovalNeed, WaitingChange } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { getApproval } from '../../store/approvals.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { type ExactChange, writeExactChange } from '../../store/exact-change.ts';
import type { Person } from '../../store/people.ts';
import type { ApiDecision, ApiDependencies } from './api-dependencies.ts';
import { recordBasis } from './record-basis.ts';

/** What nobody can read nobody can approve. */
const mostBytes = 1024 * 1024;
const notOfACall = { agent: null, role: null, fleet: null, run: null, toolset: '', server: '', tool: '', definitionHash: '' };

/**
 * Asks other people for a change, by the digest of its exact bytes; whoever proposes the same again finds the same approval.
 * @param subject - what it is about, in a few words
 * @throws {PlatformError} `approval_denied`, `approvals_exhausted`, `request_too_large`
 */
export const proposeChange = async (
  { database, audit, approvalKeys }: Pick<ApiDependencies, 'database' | 'audit' | 'approvalKeys'>,
  person: Person,
  { org, project }: Tenancy,
  decision: ApiDecision,
  { change, subject, need }: { change: ExactChange; subject: string; need: ApprovalNeed },
): Promise<Approval> => {
  const exact = writeExactChange(change);
  if (Buffer.byteLength(exact.text) > mostBytes)
    throw new PlatformError(
      'request_too_large',
      `People have to approve this, and cannot read ${mostBytes / 1024} KiB; propose it in parts.`,
    );
  const { decisionId, policies } = decision;
  const asked = await createApprovalAsks(database, audit, approvalKeys).ask(
    {
      ...notOfACall,
      ...exact,
      ...{ org, project, subject, need, decisionId },
      kind: change.kind,
      principal: `person:${org}/${person.id}`,
      person: person.id,
      operationId: '',
      argumentsDigest: exact.digest,
    },
    {
      ...{ org, project, decisionId, policies },
      kind: 'change',
      action: 'askApproval',
      decision: 'allow',
      person: person.id,
      stamp: person.stamp,
      outcome: 'pending',
      basis: await recordBasis(database, { org, project }, decision),
    },
  );
  if (asked.state === 'denied')
    throw new PlatformError('approval_denied', `A person refused this very change (approval ${asked.id}); nothing was changed.`, {
      facts: { approvalId: asked.id },
    });
  return getApproval(database, { org, project, id: asked.id });
};

/** What the proposer is told. */
export const waitingAnswer = ({ id, digest, expiresAt, rules }: Approval): WaitingChange => ({ approvalId: id, digest, expiresAt, rules });
