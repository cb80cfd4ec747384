import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { isPlatformError, type PlatformError, toPlatformError } from '../../schema/errors.ts';
import { countRefusal } from '../../store/ledger.ts';
import { recordTurnedAway } from '../auth/record-turned-away.ts';
import { maskFacts } from '../mask/create-masker.ts';
import { actorFacts, auditWho } from '../principal.ts';
import { putOnRecord } from '../put-on-record.ts';
import { recordDecision } from '../record-decision.ts';
import { CallerLeft, type ModelCall, type ModelCallStep, tenancyOf } from './model-call.ts';

/** The row of a call as far as it has come. */
const auditEventOf = (call: ModelCall, rest: Pick<NewAuditEvent, 'kind' | 'outcome'> & Partial<NewAuditEvent>): NewAuditEvent => {
  const { action, principal, decision, decisionId, model, name, operationId, spent, facts, gateway, startedAt } = call;
  const tenancy = tenancyOf(call);
  const who = principal ? auditWho(principal) : {};
  const recorded = recordDecision(gateway, tenancy, decision, who.run);
  return {
    ...tenancy,
    ...who,
    action,
    decision: 'allow',
    decisionId,
    policies: decision?.policies ?? [],
    policyVersion: decision?.policyVersion ?? null,
    argumentsDigest: call.chat ? gateway.digestArguments(call.chat.body) : null,
    traceId: call.trace.traceId,
    model: model?.metadata.name ?? name?.slice(0, 128) ?? null,
    operationId: operationId ?? null,
    durationMs: gateway.now() - startedAt,
    inputTokens: spent?.inputTokens ?? null,
    outputTokens: spent?.outputTokens ?? null,
    costMicroUsd: spent?.costMicroUsd ?? null,
    basis: recorded.basis,
    facts: {
      ...(principal ? actorFacts(principal) : {}),
      ...facts,
      ...recorded.facts,
      ...maskFacts(call.masked),
      ...(spent?.isEstimated ? { usage: 'estimated' } : {}),
    },
    ...rest,
  };
};

const failureOf = (
  call: ModelCall,
  thrown: unknown,
  error: PlatformError,
): Pick<NewAuditEvent, 'kind' | 'outcome'> & Partial<NewAuditEvent> => {
  if (thrown instanceof CallerLeft) return { kind: 'call', outcome: 'cancelled' };
  const errorCode = error.code;
  // what a provider says no to was a call all the same
  if (call.isForwarded || error.status >= 500) return { kind: 'call', outcome: 'error', errorCode };
  return { kind: 'refusal', decision: 'deny', outcome: 'refused', errorCode };
};

/**
 * Wraps the rest: one row for every outcome of a known caller, refusals too, without any content. When rows cannot be written no call is
 * let through. A caller that is not known leaves a line in the log alone.
 */
export const record: ModelCallStep = async (call, next) => {
  const { audit, database, logger } = call.gateway;
  audit.assertWritable();
  try {
    const answer = await next();
    putOnRecord(call.gateway, auditEventOf(call, { kind: 'call', outcome: 'ok' }), call.trace);
    return answer;
  } catch (thrown) {
    const { requestId, principal } = call;
    const error = toPlatformError(thrown);
    if (thrown instanceof CallerLeft) logger.info({ requestId }, 'the caller of a model left');
    else if (!isPlatformError(thrown)) logger.error({ requestId, err: thrown }, 'a model call failed inside');
    else if (error.status >= 500) logger.warn({ requestId, code: error.code, err: error.cause }, error.detail);
    else logger.info({ requestId, code: error.code }, 'a model call was refused');
    if (principal) {
      const event = auditEventOf(call, failureOf(call, thrown, error));
      putOnRecord(call.gateway, event, call.trace);
      if (event.kind === 'refusal' && !error.isRetryable && principal.kind === 'agent')
        await countRefusal(database, principal.agentId).catch(() => undefined);
    } else recordTurnedAway(call.gateway, call.request, { door: 'models' }, thrown);
    throw thrown;
  }
};
