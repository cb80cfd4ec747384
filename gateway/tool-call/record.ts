import { recordedTexts } from '../../policy/recorded-context.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { isPlatformError, PlatformError, toPlatformError } from '../../schema/errors.ts';
import { countRefusal } from '../../store/ledger.ts';
import { newDecisionId } from '../decide.ts';
import { RpcRefusal } from '../exchange/error-reply.ts';
import { maskFacts } from '../mask/create-masker.ts';
import type { Reply } from '../mcp/message.ts';
import { traceOf } from '../mcp/trace-context.ts';
import { actorFacts, auditWho } from '../principal.ts';
import { putOnRecord } from '../put-on-record.ts';
import { recordDecision } from '../record-decision.ts';
import { isComplete } from '../surface/present-result.ts';
import { isReadOnly, type ToolCall, type ToolCallStep, tenancyOf } from './tool-call.ts';

const refusals = new Set([
  'tool_unknown',
  'approval_denied',
  'credential_refused',
  'grant_needed',
  'server_drifted',
  'approval_expired',
  'approvals_exhausted',
  'argument_refused',
  'login_stale',
  'hook_refused',
  'hook_unavailable',
  'not_permitted',
  'needs_person',
  'budget_exhausted',
  'halted',
  'rate_exhausted',
  'run_ended',
  'request_invalid',
  'operation_conflict',
]);

export const outcomeOf = (reply: Reply): NewAuditEvent['outcome'] => {
  if (reply.kind === 'error') return 'error';
  // a round that needs input, or a task of the server: its end is another row's
  if (!isComplete(reply.result)) return 'pending';
  return reply.result.isError ? 'tool_error' : 'ok';
};

/** Facts in the order of their names. Where there is no more to say, nothing more is made. */
const factsOfArguments = ({ facts, credential, hooked }: ToolCall): NewAuditEvent['facts'] => {
  if (credential === undefined && hooked === undefined) return facts ? { bytes: facts.bytes, hosts: recordedTexts(facts.hosts) } : {};
  return {
    ...(facts ? { bytes: facts.bytes } : {}),
    ...(credential === undefined ? {} : { credential }),
    ...(hooked === undefined ? {} : { hooks: hooked }),
    ...(facts ? { hosts: recordedTexts(facts.hosts) } : {}),
  };
};

/** The row of a call as far as it has come. */
export const auditEventOf = (call: ToolCall, rest: Pick<NewAuditEvent, 'kind' | 'outcome'> & Partial<NewAuditEvent>): NewAuditEvent => {
  const { tool, decision, facts, gateway, startedAt, request } = call;
  const tenancy = tenancyOf(call);
  const who = auditWho(request.principal);
  // one row for each decision: an intent has that of its outcome, and a refusal or a call that of what became of an approval
  const isRepeated = rest.kind === 'outcome' || rest.kind === 'change';
  const recorded = recordDecision(gateway, tenancy, isRepeated ? undefined : decision, who.run);
  return {
    ...tenancy,
    ...who,
    action: 'callTool',
    decision: 'allow',
    decisionId: decision?.decisionId ?? newDecisionId(),
    policies: decision?.policies ?? [],
    policyVersion: decision?.policyVersion ?? null,
    argumentsDigest: gateway.digestArguments(call.arguments),
    traceId: traceOf(request).traceId,
    toolset: tool?.toolset ?? (request.endpoint.kind === 'toolset' ? request.endpoint.toolset : null),
    server: tool?.server.metadata.name ?? null,
    tool: tool?.pinned.name ?? call.name.slice(0, 128),
    operationId: call.operationId,
    durationMs: gateway.now() - startedAt,
    basis: recorded.basis,
    // in the order of their names, which is how they are hashed: what is in order already is not sorted again for each row
    facts: {
      ...actorFacts(request.principal),
      ...(call.approvalId ? { approval: call.approvalId } : {}),
      ...factsOfArguments(call),
      ...(call.connection ? { isolation: call.connection.isolation } : {}),
      ...(call.masked ? maskFacts(call.masked) : {}),
      ...(facts ? { paths: recordedTexts(facts.paths) } : {}),
      ...(call.rego ? { rego: call.rego } : {}),
      ...(call.isReplay ? { replay: true } : {}),
      ...recorded.facts,
    },
    ...rest,
  };
};

/** A refusal in the protocol's own words is one of a malformed request. */
const errorOf = (thrown: unknown): PlatformError =>
  thrown instanceof RpcRefusal ? new PlatformError('request_invalid', thrown.message) : toPlatformError(thrown);

/** A call that was sent and got no answer may have been done; one that its caller took back was cancelled. */
const outcomeOfFailure = ({ code, facts }: PlatformError): NewAuditEvent['outcome'] => {
  if (facts.reason === 'caller') return 'cancelled';
  if (code === 'halted') return 'cancelled';
  return code === 'operation_unknown' || (code === 'server_unavailable' && facts.wasSent === true) ? 'unknown' : 'error';
};

/**
 * Wraps the rest: every call leaves a row, refusals too. For a tool that only reads this is the one row; for any other
 * the intent and its outcome are committed by `intend`, and only what ends before the intent is recorded here.
 */
export const record: ToolCallStep = async (call, next) => {
  const { gateway, request } = call;
  const { database, logger } = gateway;
  gateway.audit.assertWritable();
  try {
    const outcome = await next();
    if (isReadOnly(call) || call.isReplay)
      putOnRecord(gateway, auditEventOf(call, { kind: 'call', outcome: outcomeOf(outcome) }), traceOf(request));
    return outcome;
  } catch (thrown) {
    const error = errorOf(thrown);
    if (error.code === 'internal' && !isPlatformError(thrown)) logger.error({ err: thrown, tool: call.name }, 'a tool call failed inside');
    // what was cut had begun
    const isRefusal = refusals.has(error.code) && error.facts.wasSent !== true;
    // an intent that ended unknown has its rows already
    if (error.code !== 'operation_unknown' || call.isReplay)
      putOnRecord(
        gateway,
        auditEventOf(call, {
          kind: isRefusal ? 'refusal' : 'call',
          decision: isRefusal ? 'deny' : 'allow',
          outcome: isRefusal ? 'refused' : outcomeOfFailure(error),
          errorCode: error.code,
        }),
        traceOf(request),
      );
    // whoever waits for a person was not refused yet, nor was who may come again
    if (isRefusal && error.code !== 'needs_person' && !error.isRetryable && request.principal.kind === 'agent')
      await countRefusal(database, request.principal.agentId).catch(() => undefined);
    throw thrown instanceof RpcRefusal ? thrown : error;
  }
};
