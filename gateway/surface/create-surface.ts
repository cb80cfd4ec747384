import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { type Era, type LogLevel, logLevels } from '../../schema/mcp-revisions.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createExchange } from '../exchange/create-exchange.ts';
import { orErrorReply, RpcRefusal } from '../exchange/error-reply.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { haltableOf } from '../limits/follow-halts.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { type Reply, rpcCodes } from '../mcp/message.ts';
import { callTool } from '../tool-call/call-tool.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import { behindSearch } from './behind-search.ts';
import { callerOf } from './caller-of.ts';
import { createComplete } from './complete.ts';
import { describeEndpoint, listsOf } from './describe-endpoint.ts';
import { createGetPrompt } from './get-prompt.ts';
import { createItemLists } from './list-items.ts';
import { createListResources } from './list-resources.ts';
import { createLiveResources } from './live-resources.ts';
import { createPager } from './page-list.ts';
import { createReadResource } from './read-resource.ts';
import { tenancyOf } from './record-listing.ts';
import { inProtocol } from './refuse.ts';
import { createResourceDirectory } from './resource-directory.ts';
import type { Surface } from './surface.ts';
import { viewOf } from './view.ts';
import { createListWatch } from './watch-lists.ts';

type Handler = (request: ClientRequest) => Reply | Promise<Reply>;
type Method = { handle: Handler; eras: readonly Era[] };

const nothing: Reply = { kind: 'result', result: {} };
const both: readonly Era[] = ['modern', 'legacy'];
const modern: readonly Era[] = ['modern'];
const legacy: readonly Era[] = ['legacy'];

/** Whoever is halted is refused these too, though nothing is called by them; uses are refused where their rows are written. */
const unrecorded: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/subscribe',
  'subscriptions/listen',
]);

const setLogLevel: Handler = ({ params: { level }, session }) => {
  if (!(logLevels as readonly unknown[]).includes(level))
    throw new PlatformError('request_invalid', `Invalid params: \`level\` is one of ${logLevels.join(', ')}.`);
  session?.setLogLevel(level as LogLevel);
  return nothing;
};

/**
 * Makes what every method of MCP means at the gateway's endpoints: tables of what servers offer, under the names that toolsets give,
 * as far as policy lets each caller see and use it.
 */
export const createSurface = ({ context, pool }: { context: GatewayContext; pool: UpstreamPool }): Surface => {
  const live = createLiveResources({ context, pool });
  const directory = createResourceDirectory({ context, pool, live });
  const watch = createListWatch({ context, pool, live });
  const pageOf = createPager(deriveContentKeys(context.config.resultKey, 'mcp-cursors').digest);

  const exchange = createExchange({
    context,
    pool,
    directory,
    surface: {
      watchLists: watch.watch,
      listsOf: (principal, endpoint) => listsOf(pool, viewOf(context, principal, endpoint).sources),
    },
  });

  /** A use that a server may answer with a question of its own. */
  const inExchange = (work: (request: ClientRequest) => Promise<Reply>): Handler => {
    const use = async (asked: ClientRequest): Promise<Reply> => {
      try {
        return await work(asked);
      } catch (error) {
        throw isPlatformError(error) ? inProtocol(error, asked.client.era) : error;
      }
    };
    return (request) => exchange.serve(request, use);
  };

  const listItems = createItemLists({ context, pool, pageOf });
  const call = inExchange((request) => callTool({ gateway: context, pool, request, directory }));
  const complete = createComplete({ context, pool, directory });

  const methods = new Map<string, Method>([
    ['tools/list', { eras: both, handle: listItems('tool') }],
    ['tools/call', { eras: both, handle: behindSearch({ context, pool }, call) }],
    ['prompts/list', { eras: both, handle: listItems('prompt') }],
    ['prompts/get', { eras: both, handle: inExchange(createGetPrompt({ context, pool, directory })) }],
    ['resources/list', { eras: both, handle: createListResources({ context, directory, pageOf }) }],
    ['resources/templates/list', { eras: both, handle: listItems('template') }],
    ['resources/read', { eras: both, handle: inExchange(createReadResource({ context, pool, directory })) }],
    ['resources/subscribe', { eras: legacy, handle: exchange.subscribe }],
    ['resources/unsubscribe', { eras: legacy, handle: exchange.unsubscribe }],
    ['subscriptions/listen', { eras: modern, handle: exchange.listen }],
    ['completion/complete', { eras: both, handle: complete }],
    ['tasks/get', { eras: modern, handle: exchange.handleTask }],
    ['tasks/update', { eras: modern, handle: exchange.handleTask }],
    ['tasks/cancel', { eras: modern, handle: exchange.handleTask }],
    ['logging/setLevel', { eras: legacy, handle: setLogLevel }],
    ['ping', { eras: legacy, handle: () => nothing }],
  ]);

  const answer = (request: ClientRequest): Reply | Promise<Reply> => {
    const method = methods.get(request.method);
    if (!method?.eras.includes(request.client.era))
      throw new RpcRefusal({ code: rpcCodes.methodNotFound, message: `Method not found: ${request.method.slice(0, 128)}` });
    if (unrecorded.has(request.method)) {
      const look = context.halts.check(haltableOf(request.principal, tenancyOf(request)));
      if (look) return look.then(() => method.handle(request));
    }
    return method.handle(request);
  };

  return {
    describe: (principal, endpoint, era) => describeEndpoint({ context, pool }, principal, endpoint, era),
    handle: (request) =>
      orErrorReply(
        context.logger,
        () => answer(request),
        (error) => inProtocol(error, request.client.era),
      ),
    notified: (from, notification) => {
      // of all that clients tell, this alone is for servers: they may ask for the roots again
      if (notification.method !== 'notifications/roots/list_changed') return;
      for (const { server } of viewOf(context, from.principal, from.endpoint).sources) pool.tell(server, callerOf(from), notification);
    },
    watchLists: watch.watch,
    sessionEnded: async (sessionId) => {
      exchange.sessionEnded(sessionId);
      await pool.endSession(sessionId);
    },
    drain: async () => {
      await exchange.drain();
      watch.close();
    },
  };
};
