import { toPlatformError } from '../../schema/errors.ts';
import type { McpTask, McpTaskOwner } from '../../store/mcp-tasks.ts';
import type { UsedRoundStore } from '../../store/mcp-used-rounds.ts';
import type { ContentKeys } from '../../store/secrets/seal.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { recordRefused } from '../record-refused.ts';
import type { ResourceDirectory } from '../surface/resource-directory.ts';
import { afterSending } from './again-if-unsent.ts';
import { assertStillAllowed } from './assert-still-allowed.ts';
import { orErrorReply } from './error-reply.ts';
import { isInputRequired } from './input-required.ts';
import { joinDistant } from './join-distant.ts';
import type { ToolUse } from './may-still-use.ts';
import { canBeAsked, declaresTasks } from './missing-capabilities.ts';
import { openState, type RequestState, sealState } from './request-state.ts';
import { inRounds, type Work } from './rounds.ts';
import { isServerTask, type ServerTasks } from './server-tasks.ts';
import type { StandingCall } from './standing-call.ts';
import { ownerOf, type StandingCalls } from './standing-calls.ts';
import { createdTask } from './task-view.ts';
import { useRound } from './use-round.ts';

const handedOver = (): boolean => true;
const keptHere = (): boolean => false;

/** Whether a request may have to go on after its answer. All others cost nothing more. */
const mayStand = ({ method, client: { capabilities } }: ClientRequest): boolean =>
  canBeAsked(capabilities) || (method === 'tools/call' && declaresTasks(capabilities));

/** Makes `exchange.serve`: what a server says in the middle of a request becomes what the client's era has for it. */
export const createServe = ({
  gateway,
  keys,
  calls,
  findTask,
  serverTasks,
  directory,
  rounds,
  momentMs,
}: {
  gateway: GatewayContext;
  keys: ContentKeys;
  calls: StandingCalls;
  findTask: (id: string, owner: McpTaskOwner) => Promise<McpTask | undefined>;
  serverTasks: ServerTasks;
  directory: Pick<ResourceDirectory, 'locate'>;
  rounds: UsedRoundStore;
  momentMs: number;
}) => {
  const { logger, now } = gateway;

  /** A state that is not this caller's, or was changed, is refused before anything of the request is looked at, and is on record. */
  const stateOf = (request: ClientRequest): RequestState => {
    try {
      return openState(keys, request, now());
    } catch (error) {
      recordRefused(gateway, request, toPlatformError(error).code);
      throw error;
    }
  };

  const inputNeeded = (request: ClientRequest, inputRequests: JsonObject, state: RequestState): Reply => ({
    kind: 'result',
    result: {
      resultType: 'input_required',
      ...(Object.keys(inputRequests).length > 0 ? { inputRequests } : {}),
      requestState: sealState(keys, request, state, now()),
    },
  });

  /** What is kept inside the gateway of a round or a server's task, as the client may have it. */
  const shown = (request: ClientRequest, reply: Reply, asked?: ToolUse): Reply | Promise<Reply> => {
    if (reply.kind === 'error') return reply;
    const { result } = reply;
    if (isInputRequired(result)) return inputNeeded(request, result.inputRequests, { round: result.round });
    return isServerTask(result) ? orErrorReply(logger, () => serverTasks.adopt(request, result, asked)) : reply;
  };

  /** Works to the end, for a client that leaves the rounds, and the server's tasks, to us. */
  const toTheEnd = (request: ClientRequest, work: Work, handsOver: () => boolean): Promise<Reply> =>
    orErrorReply(logger, async () => {
      const reply = await inRounds(request, work, handsOver);
      if (reply.kind === 'error') return reply;
      const { result } = reply;
      if (!isServerTask(result) || (handsOver() && declaresTasks(request.client.capabilities))) return reply;
      return afterSending(() => serverTasks.follow(request, result));
    });

  const nextOf = async (call: StandingCall, request: ClientRequest): Promise<Reply> => {
    const word = await call.next(request);
    if (word.kind === 'ended') return shown(request, word.reply, call.standing.asked);
    if (word.kind === 'questions') return inputNeeded(request, call.content.inputRequests ?? {}, { call: call.id });
    const snapshot = calls.snapshot(call);
    return snapshot ? { kind: 'result', result: createdTask(snapshot) } : nextOf(call, request);
  };

  /** The retry of a request whose call was parked: brings the answers, and waits on. */
  const join = async (request: ClientRequest, id: string): Promise<Reply> => {
    const owner = ownerOf(request);
    const call = calls.find(id, owner);
    await assertStillAllowed({ gateway, directory }, request, call ? call.standing.asked : (await findTask(id, owner))?.content.asked);
    if (call) {
      call.answer(request.params.inputResponses);
      return nextOf(call, request);
    }
    const word = await joinDistant(calls, () => findTask(id, owner), request, { id, momentMs });
    if (word.kind === 'ended') return word.reply;
    return word.kind === 'task'
      ? { kind: 'result', result: createdTask(word.task) }
      : inputNeeded(request, word.task.content.inputRequests ?? {}, { call: id });
  };

  const stand = (request: ClientRequest, work: Work): Promise<Reply> => {
    const call = calls.begin(request);
    const { signal, notify, ask, standing } = call;
    const inner: ClientRequest = { ...request, signal, notify, ask, standing };
    void toTheEnd(inner, work, () => !call.isStanding).then((reply) => call.end(reply));
    return nextOf(call, request);
  };

  const begin = (request: ClientRequest, work: Work): Promise<Reply> =>
    mayStand(request) ? stand(request, work) : toTheEnd(request, work, handedOver).then((reply) => shown(request, reply));

  const goOn = async (request: ClientRequest, work: Work): Promise<Reply> => {
    const state = stateOf(request);
    if ('call' in state) return join(request, state.call);
    await useRound(gateway, rounds, request, state.round);
    return begin({ ...request, round: state.round }, work);
  };

  return (request: ClientRequest, work: Work): Promise<Reply> => {
    if (request.client.era === 'legacy') return toTheEnd(request, work, keptHere);
    return orErrorReply(logger, () => (request.params.requestState === undefined ? begin(request, work) : goOn(request, work)));
  };
};
