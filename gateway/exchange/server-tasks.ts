import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { McpTask, McpTaskStore } from '../../store/mcp-tasks.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, objectAt, type Question, type Reply, rpcCodes, textOf } from '../mcp/message.ts';
import { callerOf } from '../surface/caller-of.ts';
import { maskReply } from '../surface/present-result.ts';
import type { ResourceDirectory } from '../surface/resource-directory.ts';
import { viewOf } from '../surface/view.ts';
import { callTimeouts } from '../tool-call/call-timeouts.ts';
import { presentToolResult } from '../tool-call/present-tool-result.ts';
import type { McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';
import { askClient } from './ask-client.ts';
import { exchangeWithServer, serverKeyOf } from './exchange-with-server.ts';
import { taskNotFound } from './find-task.ts';
import { questionsFor } from './input-required.ts';
import type { ToolUse } from './may-still-use.ts';
import { ownerOf } from './standing-calls.ts';
import { withoutHopMeta } from './translate-question.ts';

/** What a server answers where a call became a task of its own, as it is inside the gateway. */
export type ServerTask = JsonObject & { resultType: 'task'; taskId: string; ofServer: string };
export type ServerTasks = ReturnType<typeof createServerTasks>;

export const isServerTask = (result: JsonObject): result is ServerTask =>
  result.resultType === 'task' && typeof result.ofServer === 'string';

/** The longest that a task of a server is known under our id. */
const longestMs = 24 * 60 * 60_000;
const pollMs = { least: 100, most: 5000, usual: 1000 };

const pollAfter = (task: JsonObject): number => {
  const { pollIntervalMs } = task;
  return typeof pollIntervalMs === 'number' ? Math.min(Math.max(pollIntervalMs, pollMs.least), pollMs.most) : pollMs.usual;
};

/**
 * Tasks that modern servers keep themselves. A client knows each under an id of ours, which leads any replica back to the server;
 * what the task's tool may no longer be used for is as gone as the tool.
 */
export const createServerTasks = ({
  gateway,
  pool,
  store,
  directory,
}: {
  gateway: GatewayContext;
  pool: UpstreamPool;
  store: McpTaskStore;
  directory: Pick<ResourceDirectory, 'expose'>;
}) => {
  const toolOf = (request: ClientRequest, upstream: { server: string; tool: string }) => {
    const { item } = viewOf(gateway, request.principal, request.endpoint).find('tool', upstream.tool);
    if (!item || serverKeyOf(item.server) !== upstream.server) throw taskNotFound();
    return item;
  };

  /** Where a task runs, whether its tool is still there or not: it may always be taken back. */
  const serverOf = (upstream: { server: string }): McpServer => {
    const server = gateway
      .declared()
      .list('McpServer')
      .find((each) => serverKeyOf(each) === upstream.server);
    if (!server) throw taskNotFound();
    return server;
  };

  /** One of the three methods of tasks, at the server, under its own id of the task. */
  const send = async (
    request: ClientRequest,
    server: McpServer,
    method: string,
    params: JsonObject & { taskId: string },
  ): Promise<Reply> => {
    const connection = await pool.connect(server, callerOf(request));
    const { inputResponses: _answers, requestState: _state, ...own } = request.params;
    const { round: _round, ...bare } = request;
    return exchangeWithServer({
      gateway,
      pool,
      request: { ...bare, params: own },
      server,
      connection,
      method,
      params,
      name: params.taskId,
      timeouts: callTimeouts(server),
    });
  };

  /** The state of a task as the client may see it. @throws {RpcRefusal} for questions that the client cannot be asked */
  const look = async (request: ClientRequest, upstream: { server: string; taskId: string; tool: string }): Promise<Reply> => {
    const tool = toolOf(request, upstream);
    const reply = await send(request, tool.server, 'tasks/get', { taskId: upstream.taskId });
    if (reply.kind === 'error') return maskReply(tool, reply, {});
    const { result, ...seen } = reply.result;
    const { inputRequests, ...task } = tool.mask ? tool.mask.json(seen, {}) : seen;
    const found: Reply | undefined = isObject(result) ? { kind: 'result', result: withoutHopMeta(result) } : undefined;
    const presented = found && (await presentToolResult(request, tool, found, directory));
    return {
      kind: 'result',
      result: {
        ...task,
        ...(isObject(inputRequests) ? { inputRequests: questionsFor(request, inputRequests) } : {}),
        ...(presented?.kind === 'result' ? { result: presented.result } : {}),
      },
    };
  };

  /** Waits for the end of a task, on behalf of a client that does not ask for it itself. */
  const follow = async (request: ClientRequest, { ofServer, taskId, ...created }: ServerTask): Promise<Reply> => {
    const upstream = { server: ofServer, taskId, tool: textOf(request.params.name) };
    const asked = new Set<string>();
    const until = gateway.now() + longestMs;
    let waitMs = pollAfter(created);
    const answer = async (questions: JsonObject): Promise<void> => {
      const fresh = Object.entries(questions).filter(([key]) => !asked.has(key));
      if (fresh.length === 0) return;
      for (const [key] of fresh) asked.add(key);
      const answers = await Promise.all(
        fresh.map(async ([key, question]) => [key, await askClient(request, question as Question, request.signal)] as const),
      );
      const inputResponses = Object.fromEntries(answers.flatMap(([key, reply]) => (reply.kind === 'result' ? [[key, reply.result]] : [])));
      await send(request, toolOf(request, upstream).server, 'tasks/update', { taskId, inputResponses });
    };
    while (gateway.now() < until) {
      await delay(waitMs, undefined, { signal: request.signal }).catch(() => undefined);
      if (request.signal.aborted) {
        const unheard: ClientRequest = { ...request, signal: AbortSignal.timeout(pollMs.most) };
        await send(unheard, serverOf(upstream), 'tasks/cancel', { taskId });
        return { kind: 'error', error: { code: rpcCodes.cancelled, message: 'The call was cancelled.' } };
      }
      const reply = await look(request, upstream);
      if (reply.kind === 'error') return reply;
      const { status, result, error, inputRequests } = reply.result;
      if (status === 'completed') return { kind: 'result', result: isObject(result) ? result : {} };
      if (status === 'failed' || status === 'cancelled') {
        const { code, message, data } = isObject(error) ? error : {};
        const known = typeof code === 'number' ? { code, message: textOf(message), ...(data === undefined ? {} : { data }) } : undefined;
        return { kind: 'error', error: known ?? { code: rpcCodes.internal, message: `The server's task ended: ${textOf(status)}.` } };
      }
      if (isObject(inputRequests)) await answer(inputRequests);
      waitMs = pollAfter(reply.result);
    }
    throw new PlatformError('server_unavailable', 'The server did not come to an end with its task.', { facts: { wasSent: true } });
  };

  return {
    follow,

    /** Gives a server's new task an id of ours. */
    adopt: async (request: ClientRequest, task: ServerTask, asked?: ToolUse): Promise<Reply> => {
      const { ofServer, taskId, ...shown } = task;
      const id = `task_${randomBytes(18).toString('base64url')}`;
      const ttlMs = Math.min(typeof task.ttlMs === 'number' && task.ttlMs > 0 ? Math.ceil(task.ttlMs) : longestMs, longestMs);
      const { org } = request.principal;
      const content = { ...(asked ? { asked } : {}), upstream: { server: ofServer, taskId, tool: textOf(request.params.name) } };
      const row = { id, org, project: 'default', ...ownerOf(request), operationId: null, status: 'working' as const, ttlMs, content };
      // too many to be remembered: then this one is waited for
      if (!(await store.insert({ ...row, createdAt: new Date(gateway.now()) }))) return follow(request, task);
      return { kind: 'result', result: { ...shown, taskId: id } };
    },

    /** `tasks/get` of a task that a server keeps. */
    get: async (request: ClientRequest, { id, content: { upstream } }: McpTask): Promise<Reply> => {
      if (!upstream) throw taskNotFound();
      const reply = await look(request, upstream);
      return reply.kind === 'error' ? reply : { kind: 'result', result: { ...reply.result, taskId: id } };
    },

    /** `tasks/update` and `tasks/cancel` of a task that a server keeps. */
    pass: async (request: ClientRequest, { content: { upstream } }: McpTask): Promise<Reply> => {
      if (!upstream) throw taskNotFound();
      const isAnswer = request.method === 'tasks/update';
      const server = isAnswer ? toolOf(request, upstream).server : serverOf(upstream);
      const inputResponses = isAnswer ? { inputResponses: objectAt(request.params, 'inputResponses') } : {};
      const reply = await send(request, server, request.method, { taskId: upstream.taskId, ...inputResponses });
      return reply.kind === 'error' ? reply : { kind: 'result', result: {} };
    },
  };
};
