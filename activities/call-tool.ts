import { pendingCalls, type ResultOutcome, resultsInRow, type Transcript } from '../agents/conversation.ts';
import { toolOperationId } from '../agents/operation-ids.ts';
import { type ErrorCode, isPlatformError } from '../schema/errors.ts';
import { type Agent, endWait, getAgent } from '../store/agents.ts';
import type { Database } from '../store/database.ts';
import { type AgentCollaborators, type AgentEnded, endOf, extend, park, runOf, tenancyOf } from './agent-context.ts';
import { withHeartbeat } from './failures.ts';
import type { AgentStep } from './open-agent.ts';
import { parkOnRefusal } from './park-on-refusal.ts';
import { type AgentWaits, waitForLift, waitForPerson } from './wait-for-person.ts';

/** An agent whose calls come to nothing this often in a row is parked: it does not find its way by itself. */
const mostInRow = 3;

/** Refusals that a model may answer by doing something else, and results that a smaller question avoids. */
const outcomeOf: Partial<Record<ErrorCode, ResultOutcome>> = {
  tool_unknown: 'refused',
  argument_refused: 'refused',
  not_permitted: 'refused',
  needs_person: 'refused',
  approval_denied: 'refused',
  approval_expired: 'refused',
  request_invalid: 'failed',
  request_too_large: 'failed',
  result_too_large: 'failed',
  operation_unknown: 'unknown',
};

const outcomeOfError = (error: unknown): ResultOutcome | undefined => (isPlatformError(error) ? outcomeOf[error.code] : undefined);

/** What the newest result means for the agent: it is parked, or goes on. */
const judge = async (database: Database, agent: Agent, transcript: Transcript, outcome: ResultOutcome, detail: string) => {
  if (outcome === 'unknown') return park(database, agent.id, 'operation_unknown', detail);
  // a grammar leaves hardly a choice, so the same call would come again
  const patience = transcript.head.model.decoding === 'constrained' ? 1 : mostInRow;
  if (outcome === 'refused' && resultsInRow(transcript, ['refused']) >= patience) return park(database, agent.id, 'tool_refused', detail);
  if (outcome === 'failed' && resultsInRow(transcript, ['failed', 'refused']) >= mostInRow)
    return park(database, agent.id, 'tool_failed', detail);
  return undefined;
};

/**
 * Makes the first call of the model's last answer that has no result yet, under an operation id that stays the same when the activity
 * is tried again. A refusal is written down as the call's result, so that the model may do something else. A call that needs a person
 * leaves everything as it is: made again after the decision, it is the same call.
 */
export const createCallTool =
  ({ database, transcripts, gateway }: AgentCollaborators) =>
  async ({ agentId, transcriptDigest }: { agentId: string; transcriptDigest: string }): Promise<AgentStep | AgentWaits | AgentEnded> => {
    const agent = await getAgent(database, agentId);
    const ended = endOf(agent);
    if (ended) return ended;
    // before the call: an agent whose time seems over gets no token
    if (agent.waitingSince) await endWait(database, agentId);
    const transcript = await transcripts.load(tenancyOf(agent), transcriptDigest);
    const [pending, ...later] = pendingCalls(transcript);
    if (!pending) return { kind: 'step', transcriptDigest, pendingCalls: 0 };
    const { call, index } = pending;
    const { snapshot } = await runOf(database, agent);
    const toolset = snapshot.roles[agent.role]?.toolset ?? '';

    let outcome: ResultOutcome;
    let text: string;
    let detail: string;
    try {
      const operationId = toolOperationId(agentId, transcript, index);
      const answer = await withHeartbeat((signal) => gateway.callTool({ agentId, signal }, { toolset, ...call, operationId }));
      outcome = answer.failed ? 'failed' : 'ok';
      text = answer.text;
      detail = `${call.tool} failed ${mostInRow} times in a row.`;
    } catch (error) {
      const waits = (await waitForPerson(database, agentId, error)) ?? (await waitForLift(database, agentId, error));
      if (waits) return waits;
      const known = outcomeOfError(error);
      if (!known || !isPlatformError(error)) return parkOnRefusal(database, agentId, error, 'tool_failed');
      outcome = known;
      text = error.detail;
      detail = `${call.tool}: ${error.detail}`;
    }
    const next = await extend({ database, transcripts }, agent, { transcript, transcriptDigest }, [{ kind: 'result', outcome, text }]);
    const parked = await judge(database, agent, next.transcript, outcome, detail);
    return parked ?? { kind: 'step', transcriptDigest: next.transcriptDigest, pendingCalls: later.length };
  };
