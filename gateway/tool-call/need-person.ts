import { approvedBy } from '../../policy/approval-entities.ts';
import type { ApprovalNeed } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { CallApproval, CallToApprove } from '../../store/ask-approval.ts';
import { readExactCall, writeExactCall } from '../../store/exact-call.ts';
import { type Decision, decide } from '../decide.ts';
import { flowFacts, flowReason } from '../labels/flow-facts.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { auditWho, principalName } from '../principal.ts';
import { targetOf } from '../surface/decide-listing.ts';
import { argumentRefused } from '../surface/refuse.ts';
import { auditEventOf } from './record.ts';
import { argumentsDigest, required, type ToolCall } from './tool-call.ts';

/** What nobody can read nobody can approve. */
const mostBytes = 256 * 1024;
/** A call without an id may find its approval used up by another one at the same moment, and then asks for one of its own. */
const mostTries = 3;

/** The call as approvers are to see it. */
const toApprove = (call: ToolCall, need: ApprovalNeed, decisionId: string): CallToApprove => {
  const { tenancy, server, pinned, toolset } = required(call.tool, 'the tool');
  const { principal, params } = call.request;
  const place = { ...tenancy, server: server.metadata.name, tool: pinned.name, definitionHash: pinned.approvedHash };
  const { inputResponses } = params;
  const exact = writeExactCall({ ...place, arguments: call.arguments, ...(inputResponses === undefined ? {} : { inputResponses }) });
  if (Buffer.byteLength(exact.text) > mostBytes)
    throw new PlatformError(
      'request_too_large',
      `${call.name}: a person has to approve this call, and cannot read ${mostBytes / 1024} KiB.`,
    );
  const { person = null, agent = null, role = null, fleet = null, run = null } = auditWho(principal);
  return {
    ...place,
    ...exact,
    ...{ person: person ?? '', agent, role, fleet, run, toolset, need, decisionId },
    principal: principalName(principal),
    operationId: call.isNamedOperation ? call.operationId : '',
    argumentsDigest: argumentsDigest(call),
  };
};

const notYet = (call: ToolCall, { id, state, expiresAt }: CallApproval, { rules, reason }: ApprovalNeed): PlatformError => {
  const facts = { decisionId: call.decision?.decisionId ?? '', approvalId: id, approvalState: state, expiresAt: expiresAt.toISOString() };
  const until = `${facts.expiresAt.slice(0, 16).replace('T', ' ')} UTC`;
  const who = rules.map(({ approvers, count }) => `${count > 1 ? `${count} of ` : ''}${approvers.join(' or ')}`).join(', and ');
  switch (state) {
    case 'denied':
      return new PlatformError('approval_denied', `${call.name}: a person refused this call (approval ${id}).`, { facts });
    case 'pending':
      return new PlatformError(
        'needs_person',
        `${call.name}: a person has to approve this call (approval ${id}, until ${until}).${reason === '' ? '' : ` ${reason}`} ` +
          `${who} decides with \`quarterdeck approvals approve ${id}\`; then make the same call again${call.isNamedOperation ? ', with the same operation id' : ''}.`,
        { facts },
      );
    default:
      return new PlatformError('approval_expired', `${call.name}: nobody approved this call in time (approval ${id}, until ${until}).`, {
        facts,
      });
  }
};

/** Asks Cedar about the approved call with all that holds now. @throws {PlatformError} `argument_refused` */
const decideAgain = async (call: ToolCall, approvalId: string): Promise<Decision> => {
  const { gateway, request, connection, facts } = call;
  const tool = required(call.tool, 'the tool');
  const approvers = await gateway.approvals.approversOf(approvalId);
  const decision = decide(gateway, {
    principal: request.principal,
    action: 'callTool',
    ...targetOf(tool, connection?.isolation),
    facts: { arguments: required(facts, 'the facts'), ...flowFacts(call.carried), ...approvedBy(tool.tenancy.org, approvers) },
  });
  call.decision = decision;
  call.approvers = approvers;
  if (decision.effect !== 'allow') throw argumentRefused(tool.name, decision, flowReason(decision, call.carried));
  return decision;
};

/** Whether this very operation used the approval up before and may look for its outcome, or still be made: its intent was never committed. */
const isOwn = async (call: ToolCall, { state, consumedBy, expiresAt }: CallApproval): Promise<boolean> => {
  if (state !== 'consumed' || consumedBy !== call.operationId) return false;
  return (
    expiresAt.getTime() > call.gateway.now() ||
    call.gateway.approvals.wasBegun({
      ...required(call.tool, 'the tool').tenancy,
      principal: principalName(call.request.principal),
      id: call.operationId,
    })
  );
};

/**
 * Lets a call through that people approved, once, and asks for their approval where nobody did. Who makes the same call again (the
 * same caller, tool, arguments and operation id) finds the same approval. What is sent is made out of the text that was approved.
 * @throws {PlatformError} `needs_person`, `approval_denied`, `approval_expired`, `argument_refused`, `request_too_large`
 */
export const needPerson = async (call: ToolCall, asking: ApprovalNeed, next: () => Promise<Reply>): Promise<Reply> => {
  const { approvals } = call.gateway;
  const because = flowReason({ policies: asking.rules.map(({ policy }) => policy) }, call.carried);
  const need = because === '' ? asking : { ...asking, reason: `${asking.reason} ${because}`.trim() };
  const asked = toApprove(call, need, call.decision?.decisionId ?? '');
  const event = (action: string) =>
    auditEventOf(call, { kind: 'change', action, outcome: 'ok', policies: need.rules.map(({ policy }) => policy) });
  for (let attempt = 1; ; attempt += 1) {
    const approval = await approvals.ask(asked, { ...event('askApproval'), outcome: 'pending' });
    call.approvalId = approval.id;
    const isUsable = approval.state === 'approved' || (await isOwn(call, approval));
    if (!isUsable) throw notYet(call, approval, need);
    await decideAgain(call, approval.id);
    const facts = { digest: asked.digest, ...(because === '' ? {} : { override: because }) };
    if (approval.state === 'consumed' || (await approvals.consume(approval.id, call.operationId, { ...event('useApproval'), facts })))
      break;
    // somebody was faster, or took the approval back
    if (attempt === mostTries) throw new PlatformError('operation_in_progress', `${call.name}: the approval ${approval.id} is being used.`);
  }
  call.arguments = readExactCall(asked.text).arguments as JsonObject;
  return next();
};
