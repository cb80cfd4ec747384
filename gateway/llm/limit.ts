import { createHash } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import { type ReservationRefusal, reserve } from '../../store/ledger.ts';
import { worstOutputTokens } from './chat-request.ts';
import { type ModelCallStep, required } from './model-call.ts';

const refusals: Readonly<Record<ReservationRefusal, string>> = {
  limit_steps: 'has used up its steps',
  limit_calls: 'has used up its calls',
  limit_tokens: 'has too few tokens left for the prompt and the longest answer',
  limit_time: 'has used up its time',
  limit_repeats: 'makes the same call again and again',
  ended: 'has ended',
  conflict: 'has used the operation id for another call',
};

/**
 * Operations of agents under way here. A retry finds the reservation of the first try and costs nothing more, so two at once under one
 * id would be paid for once.
 */
const underWay = new Set<string>();

/** Sets one step and the worst case in tokens aside before anything happens; people have no limits of this kind. */
const reserved: ModelCallStep = async (call, next) => {
  const { principal, gateway } = call;
  if (principal?.kind !== 'agent') return next();
  const chat = required(call.chat, 'the request');
  const { maxOutputTokens } = required(call.model, 'the model').spec;
  const operationId = required(call.operationId, 'the operation id');
  const operation = `${principal.agentId} ${operationId}`;
  if (underWay.has(operation))
    throw new PlatformError('operation_in_progress', `Operation ${operationId} is still running; try again when it has ended.`);
  underWay.add(operation);
  try {
    const tokens = chat.promptTokens + worstOutputTokens(chat, maxOutputTokens);
    const callDigest = createHash('sha256').update(JSON.stringify(chat.body)).digest('hex');
    const reservation = await reserve(gateway.database, { agentId: principal.agentId, operationId, kind: 'model', tokens, callDigest });
    if (!reservation.ok && reservation.reason === 'conflict')
      throw new PlatformError(
        'operation_conflict',
        `Operation id ${operationId} was used for another call; use an id of its own for each call.`,
      );
    if (!reservation.ok)
      throw new PlatformError(
        'budget_exhausted',
        `The agent ${refusals[reservation.reason]} (${reservation.reason}); \`quarterdeck fleet resume\` can raise the limits of its role.`,
        { facts: { reason: reservation.reason } },
      );
    return await next();
  } finally {
    underWay.delete(operation);
  }
};

/** Holds the call to the rates that are declared, and an agent to what its role may use up. */
export const limit: ModelCallStep = (call, next) => {
  const { rates } = call.gateway;
  if (rates.isEmpty) return reserved(call, next);
  const principal = required(call.principal, 'the caller');
  return rates.within(principal, required(call.model, 'the model'), undefined, () => reserved(call, next));
};
