import { isPlatformError } from '../schema/errors.ts';
import type { ParkReason } from '../schema/run.ts';
import { getAgent } from '../store/agents.ts';
import type { Database } from '../store/database.ts';
import { type AgentEnded, cancel, endOf, park, runOf } from './agent-context.ts';

const limits: ReadonlySet<string> = new Set<ParkReason>(['limit_steps', 'limit_calls', 'limit_tokens', 'limit_time', 'limit_repeats']);

/** Tokens end with a whole second (`exp`, RFC 7519 §2). */
const tokenSecondMs = 1000;

/** What an agent is parked for when a call cannot be made and trying again would not help. */
const reasonOf = (error: { code: string; facts: Readonly<Record<string, unknown>> }, otherwise: ParkReason): ParkReason => {
  switch (error.code) {
    case 'budget_exhausted':
      return limits.has(String(error.facts.reason)) ? (error.facts.reason as ParkReason) : otherwise;
    case 'not_permitted':
    case 'not_authenticated':
    case 'token_refused':
    case 'needs_person':
      return 'not_authorised';
    case 'operation_unknown':
      return 'operation_unknown';
    default:
      return otherwise;
  }
};

/**
 * Judges an error of a call: one that may pass is thrown again, for Temporal to retry. A final one parks the agent, unless its run is
 * over: a call of a cancelled run is refused too, and that is no fault of the agent.
 * @param otherwise - the reason where the code says none
 */
export const parkOnRefusal = async (database: Database, agentId: string, error: unknown, otherwise: ParkReason): Promise<AgentEnded> => {
  if (!isPlatformError(error) || error.isRetryable) throw error;
  const agent = await getAgent(database, agentId);
  const ended = endOf(agent);
  if (ended) return ended;
  const run = await runOf(database, agent);
  if (run.state !== 'running' && run.state !== 'starting') return cancel(database, agentId);
  // the issuer gives no token to an agent whose time is over; it counts in whole seconds, so none is given in the last one either
  const endsAtMs = agent.deadlineAt?.getTime() ?? Number.POSITIVE_INFINITY;
  if (error.code === 'token_refused' && endsAtMs <= Date.now() + tokenSecondMs)
    return park(database, agentId, 'limit_time', 'The time of its role is over.');
  return park(database, agentId, reasonOf(error, otherwise), error.detail);
};
