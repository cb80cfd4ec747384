import { buildRequest } from '../agents/build-request.ts';
import type { ModelReply } from '../agents/chat-request.ts';
import { repairsInRow, type TranscriptEntry } from '../agents/conversation.ts';
import { interpretReply } from '../agents/interpret-reply.ts';
import { modelOperationId, toolOperationId } from '../agents/operation-ids.ts';
import { endWait, getAgent } from '../store/agents.ts';
import { type AgentCollaborators, type AgentEnded, endOf, extend, finish, park, tenancyOf } from './agent-context.ts';
import { withHeartbeat } from './failures.ts';
import { parkOnRefusal } from './park-on-refusal.ts';
import { validatorsFor } from './validators.ts';
import { type AgentWaits, waitForLift } from './wait-for-person.ts';

/** How often in a row a model may be asked to repair its answer. */
const mostRepairs = 2;

/** What one answer of the model asks for, without content. `repair`: it was not usable and the model is asked again. */
export type ModelStep =
  | { kind: 'calls'; transcriptDigest: string; calls: { index: number; tool: string; operationId: string }[] }
  | { kind: 'repair'; transcriptDigest: string }
  | AgentWaits
  | AgentEnded;

/** Says what is wrong with a final answer beyond its schema, in words that the model can mend. */
export type JudgeAnswer = (value: unknown) => string[];

const textOf = ({ text, toolCalls }: ModelReply): string => (text !== '' || toolCalls.length === 0 ? text : JSON.stringify(toolCalls));

/**
 * One step of the model: asks it through the gateway and writes down what it wants. A valid final answer ends the agent as done; the
 * third unusable answer in a row parks it. Tried again after a kill it asks under the same operation id.
 */
export const createCallModel =
  ({ database, contents, transcripts, gateway }: AgentCollaborators, judgeAnswer: JudgeAnswer = () => []) =>
  async ({ agentId, transcriptDigest }: { agentId: string; transcriptDigest: string }): Promise<ModelStep> => {
    const agent = await getAgent(database, agentId);
    const ended = endOf(agent);
    if (ended) return ended;
    // before the call: an agent whose time seems over gets no token
    if (agent.waitingSince) await endWait(database, agentId);
    const tenancy = tenancyOf(agent);
    const transcript = await transcripts.load(tenancy, transcriptDigest);

    const request = buildRequest(transcript);
    if (!request)
      return park(database, agentId, 'tool_refused', 'The next call of the role needs a value that the agent has not seen anywhere.');
    let reply: ModelReply;
    try {
      reply = await withHeartbeat((signal) => gateway.complete({ agentId, signal }, request, modelOperationId(agentId, transcript)));
    } catch (error) {
      const waits = await waitForLift(database, agentId, error);
      if (waits) return waits;
      return parkOnRefusal(database, agentId, error, 'model_failed');
    }

    const { answer, ...others } = validatorsFor(transcript.head);
    const validators = { ...others, answer: (value: unknown) => [...answer(value), ...judgeAnswer(value)] };
    const meaning = interpretReply(transcript, reply, validators);
    const said: TranscriptEntry = { kind: 'answer', text: textOf(reply), calls: meaning.kind === 'calls' ? meaning.calls : [] };
    const entries: TranscriptEntry[] = meaning.kind === 'unusable' ? [said, { kind: 'repair', message: meaning.problem }] : [said];
    const next = await extend({ database, transcripts }, agent, { transcript, transcriptDigest }, entries);
    switch (meaning.kind) {
      case 'answer':
        return finish(database, agentId, await contents.putJson(tenancy, meaning.value, 'agent-output'));
      case 'calls':
        return {
          kind: 'calls',
          transcriptDigest: next.transcriptDigest,
          calls: meaning.calls.map(({ tool }, index) => ({ index, tool, operationId: toolOperationId(agentId, next.transcript, index) })),
        };
      case 'unusable': {
        const repairs = repairsInRow(next.transcript);
        if (repairs <= mostRepairs) return { kind: 'repair', transcriptDigest: next.transcriptDigest };
        return park(database, agentId, 'answer_invalid', `The model's answer was not usable ${repairs} times in a row. ${meaning.problem}`);
      }
    }
  };
