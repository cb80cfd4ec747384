import { createMcpAnswerStore } from '../../store/mcp-answers.ts';
import { createMcpBus, type McpBus } from '../../store/mcp-bus.ts';
import { createMcpTaskStore, type McpTask, type McpTaskOwner } from '../../store/mcp-tasks.ts';
import { createUsedRoundStore } from '../../store/mcp-used-rounds.ts';
import { readOperationOutcome } from '../../store/operation-outcome.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { Reply } from '../mcp/message.ts';
import type { ResourceDirectory } from '../surface/resource-directory.ts';
import { outcomeFound } from '../tool-call/outcome-found.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { orErrorReply } from './error-reply.ts';
import type { Exchange, SurfaceOfExchange } from './exchange.ts';
import { findTask } from './find-task.ts';
import { createTaskHandler } from './handle-task.ts';
import { listen } from './listen.ts';
import { createResourceHub } from './resource-hub.ts';
import { createServe } from './serve.ts';
import { createServerTasks } from './server-tasks.ts';
import { createSessionSubscriptions } from './session-subscriptions.ts';
import { type StandingTiming, standingTiming } from './standing-call.ts';
import { createStandingCalls, type StandingLimits } from './standing-calls.ts';
import { subscribeResource } from './subscribe-resource.ts';

/** Calls that may go on without their clients, at this replica; and tasks that a principal may have in all, ended ones with them. */
const standingLimits: StandingLimits & { kept: number } = { perPrincipal: 64, total: 4096, kept: 256 };
const sweepMs = 60_000;
/** How long calls without their clients may take to end when the gateway is stopped. */
const graceMs = 3000;

/**
 * Makes all that goes back and forth while or after a request is served.
 * @param options.directory - where URIs lead, asked of policy
 * @param options.timing - for tests: other times than the usual ones
 */
export const createExchange = ({
  context,
  pool,
  directory,
  surface,
  timing: changed = {},
  limits: changedLimits = {},
}: {
  context: GatewayContext;
  pool: UpstreamPool;
  directory: Pick<ResourceDirectory, 'expose' | 'locate'>;
  surface: SurfaceOfExchange;
  timing?: Partial<StandingTiming>;
  limits?: Partial<typeof standingLimits>;
}): Exchange => {
  const { database, instance, logger, now } = context;
  const timing = { ...standingTiming, ...changed };
  const limits = { ...standingLimits, ...changedLimits };
  const keys = context.keysFor('mcp-state');
  const operationKeys = context.keysFor('operations');
  const store = createMcpTaskStore({ database, keys, instance, maxPerPrincipal: limits.kept });
  const rounds = createUsedRoundStore(database);
  const drains = new Set<() => void>();
  let bus: McpBus | undefined;

  const calls = createStandingCalls({
    gateway: context,
    store,
    answers: createMcpAnswerStore(database, keys),
    tell: (message) => bus?.tell(message),
    timing,
    limits,
  });
  bus = createMcpBus({
    database,
    instance,
    logger,
    onMessage: (message) => message.kind === 'task' && calls.heard(message),
    onListening: () => undefined,
  });

  const outcomeOf = async ({ org, project, principal, operationId }: McpTask): Promise<Reply | undefined> => {
    const outcome =
      operationId === null ? undefined : await readOperationOutcome(database, operationKeys, { org, project, principal, id: operationId });
    return outcome === undefined ? undefined : outcomeFound(outcome);
  };
  const find = (id: string, owner: McpTaskOwner): Promise<McpTask | undefined> => findTask(context, store, id, owner, outcomeOf);

  const serverTasks = createServerTasks({ gateway: context, pool, store, directory });
  const tasks = createTaskHandler({ gateway: context, calls, findTask: find, serverTasks });
  const hub = createResourceHub({ pool, logger });
  const subscribe = (request: ClientRequest, uri: string, onUpdate: (uri: string) => void) =>
    subscribeResource({ gateway: context, hub, directory }, request, uri, onUpdate);
  const sessions = createSessionSubscriptions(subscribe);

  const sweeping = setInterval(() => {
    const at = new Date(now());
    Promise.all([store.removeExpired(at), rounds.removeExpired(at)]).catch((error) =>
      logger.warn({ err: error }, 'old tasks and rounds could not be deleted; trying again'),
    );
  }, sweepMs);
  sweeping.unref();

  return {
    serve: createServe({ gateway: context, keys, calls, findTask: find, serverTasks, directory, rounds, momentMs: timing.momentMs }),
    handleTask: (request) => orErrorReply(logger, () => tasks.handle(request)),
    listen: (request) =>
      orErrorReply(logger, () =>
        listen(
          {
            ...surface,
            subscribe,
            taskOf: tasks.taskOf,
            watchTask: calls.watch,
            onDrain: (end) => {
              drains.add(end);
              return () => drains.delete(end);
            },
          },
          request,
        ),
      ),
    subscribe: (request) => orErrorReply(logger, () => sessions.subscribe(request)),
    unsubscribe: (request) => orErrorReply(logger, () => sessions.unsubscribe(request)),
    sessionEnded: sessions.sessionEnded,
    drain: async () => {
      clearInterval(sweeping);
      for (const end of [...drains]) end();
      await calls.close(graceMs);
      bus?.close();
    },
  };
};
