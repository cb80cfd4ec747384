import { PlatformError } from '../../schema/errors.ts';
import { hasEnded, type McpTask, type McpTaskContent, type McpTaskOwner } from '../../store/mcp-tasks.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Reply, rpcCodes } from '../mcp/message.ts';
import { argumentRefused } from '../surface/refuse.ts';
import { RpcRefusal } from './error-reply.ts';
import { taskNotFound } from './find-task.ts';
import { carryUse, mayStillUse } from './may-still-use.ts';
import { declaresTasks, missingTasks } from './missing-capabilities.ts';
import type { ServerTasks } from './server-tasks.ts';
import { ownerOf, type StandingCalls } from './standing-calls.ts';
import { detailedTask, type TaskSnapshot } from './task-view.ts';

const done: Reply = { kind: 'result', result: {} };

const methodNotFound = (method: string): RpcRefusal =>
  new RpcRefusal({ code: rpcCodes.methodNotFound, message: `Method not found: ${method}` });

/**
 * Makes what answers `tasks/get`, `tasks/update` and `tasks/cancel`, at whichever replica they come in. A task of somebody else is
 * answered exactly as one that there is not, and so is one of a tool that its caller has no more. What the tool may no longer be used for
 * is neither told nor answered; to take it back is always allowed.
 * @see https://modelcontextprotocol.io/extensions/tasks/overview
 */
export const createTaskHandler = ({
  gateway,
  calls,
  findTask,
  serverTasks,
}: {
  gateway: GatewayContext;
  calls: StandingCalls;
  findTask: (id: string, owner: McpTaskOwner) => Promise<McpTask | undefined>;
  serverTasks: ServerTasks;
}) => {
  const required = async (request: ClientRequest, id: string): Promise<McpTask> => {
    const task = await findTask(id, ownerOf(request));
    if (!task) throw taskNotFound();
    return task;
  };

  /** The refusal of what the caller may not do any more; a call that never came to its decision has nothing to keep back. */
  const refusalOf = (request: ClientRequest, { asked, result, inputRequests }: McpTaskContent): PlatformError | undefined => {
    if (!asked) return result || Object.keys(inputRequests ?? {}).length > 0 ? taskNotFound() : undefined;
    const still = mayStillUse(gateway, request, asked);
    if (still.ok) return undefined;
    return still.reason === 'unknown' ? taskNotFound() : argumentRefused(asked.tool, still.decision);
  };
  const assertStill = async (request: ClientRequest, content: McpTaskContent): Promise<void> => {
    const refusal = refusalOf(request, content);
    if (refusal) throw refusal;
    if (content.asked) await carryUse(gateway, request, content.asked);
  };
  /** A task of ours as its owner may see it now. */
  const shown = async (request: ClientRequest, task: TaskSnapshot): Promise<JsonObject> => {
    await assertStill(request, task.content);
    return detailedTask(task);
  };

  const get = async (request: ClientRequest, id: string): Promise<Reply> => {
    const call = calls.find(id, ownerOf(request));
    const snapshot = call && calls.snapshot(call);
    if (snapshot) return { kind: 'result', result: await shown(request, snapshot) };
    const task = await required(request, id);
    if (!task.content.upstream) return { kind: 'result', result: await shown(request, task) };
    await assertStill(request, task.content);
    return serverTasks.get(request, task);
  };

  const update = async (request: ClientRequest, id: string): Promise<Reply> => {
    const { inputResponses } = request.params;
    if (!isObject(inputResponses)) throw new PlatformError('request_invalid', 'Invalid params: `inputResponses` is missing or no object.');
    const call = calls.find(id, ownerOf(request));
    if (call) {
      await assertStill(request, call.content);
      call.answer(inputResponses);
      return done;
    }
    const task = await required(request, id);
    await assertStill(request, task.content);
    if (task.content.upstream) return serverTasks.pass(request, task);
    // only what was asked: anything else would lie about until it is swept
    const asked = Object.keys(task.content.inputRequests ?? {}).filter((key) => isObject(inputResponses[key]));
    if (asked.length > 0 && !hasEnded(task))
      await calls.leaveAnswers(id, Object.fromEntries(asked.map((key) => [key, inputResponses[key]])));
    return done;
  };

  const cancel = async (request: ClientRequest, id: string): Promise<Reply> => {
    const call = calls.find(id, ownerOf(request));
    if (call) {
      call.cancel();
      return done;
    }
    const task = await required(request, id);
    if (task.content.upstream) return serverTasks.pass(request, task);
    if (!hasEnded(task)) await calls.leaveCancel(id);
    return done;
  };

  return {
    /** @throws {PlatformError} `request_invalid`, {RpcRefusal} for a client that does not know tasks */
    handle: async (request: ClientRequest): Promise<Reply> => {
      const { method, client, params } = request;
      if (client.era === 'legacy') throw methodNotFound(method);
      if (!declaresTasks(client.capabilities)) throw new RpcRefusal(missingTasks());
      const { taskId } = params;
      if (typeof taskId !== 'string') throw new PlatformError('request_invalid', 'Invalid params: `taskId` is missing or no string.');
      if (method === 'tasks/get') return get(request, taskId);
      if (method === 'tasks/update') return update(request, taskId);
      if (method === 'tasks/cancel') return cancel(request, taskId);
      throw methodNotFound(method);
    },

    /** A task of ours as `notifications/tasks` tells it; undefined for others, for those that a server keeps, and for what may not be told any more. */
    taskOf: async (request: ClientRequest, id: string): Promise<JsonObject | undefined> => {
      const call = calls.find(id, ownerOf(request));
      const task = (call && calls.snapshot(call)) ?? (await findTask(id, ownerOf(request)));
      if (!task || task.content.upstream || refusalOf(request, task.content)) return undefined;
      if (task.content.asked) await carryUse(gateway, request, task.content.asked);
      return detailedTask(task);
    },
  };
};
