import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { isPlatformError, toPlatformError } from '../../schema/errors.ts';
import { countRefusal } from '../../store/ledger.ts';
import { newDecisionId } from '../decide.ts';
import { auditWho } from '../principal.ts';
import { isReadOnly, type ToolCall, type ToolCallStep, type ToolOutcome, tenancyOf } from './tool-call.ts';

const refusals = new Set([
  'tool_unknown',
  'argument_refused',
  'not_permitted',
  'needs_person',
  'budget_exhausted',
  'run_ended',
  'request_invalid',
  'operation_conflict',
]);

const outcomeOf = (outcome: ToolOutcome): NewAuditEvent['outcome'] =>
  outcome.kind === 'rpc-error' ? 'error' : outcome.result.isError ? 'tool_error' : 'ok';

/** The row of a call as far as it has come. */
export const auditEventOf = (call: ToolCall, rest: Pick<NewAuditEvent, 'kind' | 'outcome'> & Partial<NewAuditEvent>): NewAuditEvent => {
  const { tool, decision, facts, gateway, startedAt } = call;
  return {
    ...tenancyOf(call),
    ...auditWho(call.principal),
    action: 'callTool',
    decision: 'allow',
    decisionId: decision?.decisionId ?? newDecisionId(),
    policies: decision?.policies ?? [],
    toolset: tool?.toolset ?? (call.endpoint.kind === 'toolset' ? call.endpoint.toolset : null),
    server: tool?.server.metadata.name ?? null,
    tool: tool?.tool.name ?? call.name.slice(0, 128),
    operationId: call.operationId,
    durationMs: gateway.now() - startedAt,
    facts: {
      ...(facts ? { paths: facts.paths, hosts: facts.hosts, bytes: facts.bytes } : {}),
      ...(call.connection ? { isolation: call.connection.isolation } : {}),
      ...(call.isReplay ? { replay: true } : {}),
    },
    ...rest,
  };
};

/**
 * Wraps the rest: every call leaves a row, refusals too. For a tool that only reads this is the one row; for any other
 * the intent and its outcome are committed by `intend`, and only what ends before the intent is recorded here.
 */
export const record: ToolCallStep = async (call, next) => {
  const { audit, database, logger } = call.gateway;
  audit.assertWritable();
  try {
    const outcome = await next();
    if (isReadOnly(call) || call.isReplay) audit.write(auditEventOf(call, { kind: 'call', outcome: outcomeOf(outcome) }));
    return outcome;
  } catch (thrown) {
    const error = toPlatformError(thrown);
    if (!isPlatformError(thrown)) logger.error({ err: thrown, tool: call.name }, 'a tool call failed inside');
    const isRefusal = refusals.has(error.code);
    // an intent that ended unknown has its rows already
    if (error.code !== 'operation_unknown' || call.isReplay)
      audit.write(
        auditEventOf(call, {
          kind: isRefusal ? 'refusal' : 'call',
          decision: isRefusal ? 'deny' : 'allow',
          outcome: isRefusal ? 'refused' : error.code === 'operation_unknown' ? 'unknown' : 'error',
          errorCode: error.code,
        }),
      );
    if (isRefusal && call.principal.kind === 'agent') await countRefusal(database, call.principal.agentId).catch(() => undefined);
    throw error;
  }
};

export { outcomeOf };
