import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterEach, expect } from 'vitest';
import { createStreamGuard } from '../../gateway/auth/create-stream-guard.ts';
import { createLegacyEdge } from '../../gateway/legacy/create-legacy-edge.ts';
import type { LegacyLimits } from '../../gateway/legacy/legacy-limits.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Notification, Reply } from '../../gateway/mcp/message.ts';
import type { PersonPrincipal } from '../../gateway/principal.ts';
import type { ListKind, Surface } from '../../gateway/surface/surface.ts';
import { PlatformError } from '../../schema/errors.ts';
import { parseEndpoint } from '../../schema/mcp-endpoint.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { holdInstanceLock } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { nothingHalted, nothingLimited } from './no-limits.ts';
import { pollUntil } from './poll-until.ts';

export type Handler = (request: ClientRequest) => Promise<Reply> | Reply;

/** A surface of a few methods. `handlers` are found by method, or for `tools/call` by the tool's name. */
export const startFakeSurface = (handlers: Record<string, Handler> = {}) => {
  const requests: ClientRequest[] = [];
  const notifications: { session: string | undefined; notification: Notification }[] = [];
  const ended: string[] = [];
  const watchers = new Set<(kind: ListKind) => void>();
  const surface: Surface = {
    describe: () => ({
      capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
      serverInfo: { name: 'quarterdeck', version: '0.1.0' },
      instructions: 'be kind',
    }),
    handle: async (request) => {
      requests.push(request);
      const { method, params } = request;
      const handler = handlers[method === 'tools/call' ? String(params.name) : method];
      if (handler) return handler(request);
      if (method === 'ping' || method.startsWith('resources/')) return { kind: 'result', result: {} };
      if (method === 'tools/list') return { kind: 'result', result: { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] } };
      if (method === 'tools/call')
        return { kind: 'result', result: { content: [{ type: 'text', text: JSON.stringify(params.arguments ?? {}) }] } };
      return { kind: 'error', error: { code: -32601, message: 'Method not found' } };
    },
    notified: ({ session }, notification) => void notifications.push({ session: session?.id, notification }),
    watchLists: (_principal, _endpoint, onChange) => {
      watchers.add(onChange);
      return () => watchers.delete(onChange);
    },
    sessionEnded: async (session) => void ended.push(session),
    drain: async () => undefined,
  };
  return {
    surface,
    requests,
    notifications,
    ended,
    watchers,
    changeList: (kind: ListKind) => {
      for (const watcher of watchers) watcher(kind);
    },
  };
};
export type FakeSurface = ReturnType<typeof startFakeSurface>;

const principalOf = (id: string): PersonPrincipal => ({
  kind: 'person',
  org: 'default',
  id,
  groups: [],
  roles: [],
  disabled: false,
  stamp: 'test',
  grant: `token:${id}/test`,
});

const readJson = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
};

/**
 * One replica of the legacy edge, on a plain HTTP server and with connections of its own to the database. Who calls is what stands in
 * `Authorization: Bearer NAME`; nothing there is `admin`.
 */
export const startLegacyReplica = async ({
  databaseUrl,
  fake = startFakeSurface(),
  limits = {},
  now = Date.now,
}: {
  databaseUrl: string;
  fake?: FakeSurface;
  limits?: Partial<LegacyLimits>;
  now?: () => number;
}) => {
  const instance = randomUUID();
  const name = `legacy-${instance.slice(0, 8)}`;
  const database = openDatabase({ url: databaseUrl, max: 10, name });
  const release = await holdInstanceLock(database, instance, () => undefined);
  const revoked = new Set<string>();
  const nameIn = (authorization: string | undefined): string => authorization?.split(' ')[1] ?? 'admin';
  const context = {
    config: {} as never,
    keysFor: (purpose: string) => deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), purpose),
    database,
    instance,
    halts: nothingHalted,
    rates: nothingLimited,
    logger: createLogger({ name: 'test', level: 'silent' }),
    now,
    serving: () => undefined,
    authenticate: (authorization: string | undefined) => {
      if (revoked.has(nameIn(authorization))) throw new PlatformError('token_refused', 'taken back');
      return principalOf(nameIn(authorization));
    },
  };
  const streams = createStreamGuard({ context, checkMs: 2 ** 30 });
  const edge = createLegacyEdge({
    context,
    surface: fake.surface,
    watchStream: streams.watch,
    limits,
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const endpoint = parseEndpoint(new URL(request.url ?? '', 'http://x').pathname);
    if (!endpoint) return void response.writeHead(404).end();
    const principal = principalOf(nameIn(request.headers.authorization));
    const from = { principal, endpoint, request, response };
    if (request.method === 'POST') return edge.post({ ...from, message: await readJson(request) });
    return request.method === 'GET' ? edge.get(from) : edge.delete(from);
  };
  const failures: unknown[] = [];
  const server = createServer((request, response) => void serve(request, response).catch((error) => failures.push(error)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp/everything`;
  // when it begins to hear the others it looks everything up again, which a test that takes the database away must not meet
  const listening = sql`select 1 from pg_stat_activity where application_name = ${`quarterdeck-${name}`} and query ilike 'listen %' and state = 'idle'`;
  await pollUntil(async () => (await database.execute(listening)).rows[0], 'the replica to hear the others');
  let isGone = false;

  const stopServing = async (): Promise<void> => {
    isGone = true;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    instance,
    url,
    fake,
    database,
    edge,
    failures,
    streams,
    /** Who is refused from now on. */
    revoked,
    /** Breaks all connections to clients and leaves the rest as it is. */
    cutClients: () => server.closeAllConnections(),
    /** As `kill -9` looks to everybody else: no connection is left, and nothing is written any more. */
    kill: async (): Promise<void> => {
      if (isGone) return;
      const admin = new pg.Client({ connectionString: databaseUrl });
      await admin.connect();
      database.$client.end().catch(() => undefined);
      // the locks are free when this returns
      await admin.query(
        'select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name = $1',
        [`quarterdeck-${name}`],
      );
      await admin.end();
      await stopServing();
    },
    close: async (): Promise<void> => {
      if (isGone) return;
      await streams.close();
      await edge.close();
      await stopServing();
      release();
      await closeDatabase(database);
    },
  };
};
export type LegacyReplica = Awaited<ReturnType<typeof startLegacyReplica>>;

/** Lets a test file start replicas on one database; each is closed after the test that started it, and must not have failed inside. */
export const useLegacyReplicas = (databaseUrl: () => string) => {
  const replicas: LegacyReplica[] = [];
  afterEach(async () => {
    for (const replica of replicas.splice(0)) {
      expect(replica.failures).toEqual([]);
      await replica.close();
    }
  });
  return async (options: Partial<Parameters<typeof startLegacyReplica>[0]> = {}): Promise<LegacyReplica> => {
    const replica = await startLegacyReplica({ databaseUrl: databaseUrl(), ...options });
    replicas.push(replica);
    return replica;
  };
};
