import { freePort } from '../../bench/gateway/free-port.ts';
import { createStreamGuard } from '../../gateway/auth/create-stream-guard.ts';
import { createRouter } from '../../gateway/create-router.ts';
import type { LegacyEdge } from '../../gateway/edge/legacy-edge.ts';
import type { AnswerTiming } from '../../gateway/edge/modern-answer.ts';
import { createMcpEdge } from '../../gateway/edge/serve-mcp.ts';
import { openListener } from '../../gateway/front/open-listener.ts';
import type { GatewayContext } from '../../gateway/gateway-context.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { JsonObject, Reply } from '../../gateway/mcp/message.ts';
import type { Principal } from '../../gateway/principal.ts';
import type { Surface } from '../../gateway/surface/surface.ts';
import { createSourceOf } from '../../policy/source-of-request.ts';
import { PlatformError } from '../../schema/errors.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { nothingHalted, nothingLimited } from './no-limits.ts';

export const edgeToken = 'qd_edge';
const never = 2 ** 30;
export const person: Principal = {
  kind: 'person',
  org: 'default',
  id: 'admin',
  groups: [],
  roles: [],
  disabled: false,
  stamp: 'test',
  grant: 'token:admin/test',
};

export const unknownMethod = (method: string): Reply => ({
  kind: 'error',
  error: { code: -32601, message: `There is no method ${method}.` },
});

/** Headers and body of a modern request, as a conforming client sends it; `changes` spoil it. */
export const modernRequest = (
  method: string,
  params: JsonObject = {},
  changes: { id?: unknown; headers?: Record<string, string | undefined>; meta?: JsonObject; body?: string } = {},
) => {
  const name = params.name ?? params.uri ?? params.taskId;
  const headers: Record<string, string | undefined> = {
    authorization: `Bearer ${edgeToken}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': method,
    'mcp-name': typeof name === 'string' ? name : undefined,
    ...changes.headers,
  };
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
    ...changes.meta,
  };
  const id = 'id' in changes ? changes.id : 1;
  return {
    method: 'POST',
    headers: Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)),
    body: changes.body ?? JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } }),
  };
};

/**
 * The edge on the real listener and router, before a surface that does what the test says. What goes to the legacy era is written down,
 * and answered with its kind.
 */
export const startRunningEdge = async ({
  handle = async ({ method }) => unknownMethod(method),
  timing,
  drain = {},
  timeouts,
  authenticated = () => person,
}: {
  handle?: (request: ClientRequest) => Promise<Reply>;
  timing?: AnswerTiming;
  drain?: { noticeMs?: number; drainMs?: number };
  /** How long clients may take to send. */
  timeouts?: { headersMs: number; requestMs: number };
  /** Whose the token is at the moment, or why it is refused. */
  authenticated?: () => Principal | Promise<Principal>;
} = {}) => {
  const port = await freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  const logger = createLogger({ name: 'edge-test' });
  const toLegacy: { kind: 'post' | 'get' | 'delete'; message?: unknown }[] = [];
  const requests: ClientRequest[] = [];
  const surface: Surface = {
    describe: () => ({ capabilities: { tools: {} }, serverInfo: { name: 'edge-test', version: '1' }, instructions: 'Ask.' }),
    handle: (request) => {
      requests.push(request);
      return handle(request);
    },
    notified: () => undefined,
    watchLists: () => () => undefined,
    sessionEnded: async () => undefined,
    drain: async () => undefined,
  };
  const note =
    (kind: 'post' | 'get' | 'delete'): LegacyEdge['post'] =>
    async ({ response, message }) => {
      toLegacy.push(kind === 'post' ? { kind, message } : { kind });
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ legacy: kind }));
    };
  const legacy = { post: note('post'), get: note('get'), delete: note('delete'), close: async () => undefined } as LegacyEdge;
  const context = {
    config: { publicUrl, issuerUrl: 'http://127.0.0.1:9', apiUrl: 'http://127.0.0.1:9' },
    logger,
    halts: nothingHalted,
    rates: nothingLimited,
    sourceOf: createSourceOf(),
    audit: { write: () => undefined },
    unknownCallers: { count: () => undefined },
    serving: () => undefined,
    authenticate: async (authorization: string | undefined) => {
      if (authorization !== `Bearer ${edgeToken}`) throw new PlatformError('not_authenticated', 'Send a token.');
      return authenticated();
    },
    declared: () => ({ find: (_kind: string, _tenancy: unknown, name: string) => (name === 'echo' ? {} : undefined) }),
  } as unknown as GatewayContext;
  const streams = createStreamGuard({ context, checkMs: never });
  const edge = createMcpEdge({ context, surface, legacy, watchStream: streams.watch, ...(timing ? { timing } : {}) });
  const router = createRouter({ context, edge, handleModels: async () => false });
  const listener = await openListener({ port, ...router, logger, noticeMs: 0, drainMs: 2000, ...drain, ...(timeouts ? { timeouts } : {}) });
  return {
    port,
    url: `${publicUrl}/mcp/echo`,
    publicUrl,
    surface,
    toLegacy,
    /** What reached the surface. */
    requests,
    post: (...request: Parameters<typeof modernRequest>) => fetch(`${publicUrl}/mcp/echo`, modernRequest(...request)),
    streams,
    close: async (): Promise<void> => {
      await streams.close();
      await listener.close(() => surface.drain());
    },
  };
};
export type RunningEdge = Awaited<ReturnType<typeof startRunningEdge>>;
