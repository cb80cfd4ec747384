import type { GatewayContext } from '../../gateway/gateway-context.ts';
import type { ClientFacts } from '../../gateway/mcp/client-request.ts';
import type { JsonObject, Reply } from '../../gateway/mcp/message.ts';
import { createUpstreamPool } from '../../gateway/upstream/create-upstream-pool.ts';
import { createHostClient } from '../../gateway/upstream/host-client.ts';
import type { CallerOfServer, Connection, UpstreamRequest } from '../../gateway/upstream/upstream.ts';
import type { McpServer } from '../../gateway/upstream/upstream-pool.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { type Declared, loadDeclared } from '../../store/declared.ts';
import { deleteDefinitions } from '../../store/definitions.ts';
import { applyResources, deleteResource } from '../../store/resources.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { nothingHalted, nothingLimited } from './no-limits.ts';
import { startTestDatabase } from './postgres.ts';
import { parsed } from './running-gateway.ts';

const tenancy = { org: 'default', project: 'default' };
const modernFacts: ClientFacts = {
  era: 'modern',
  protocolVersion: '2026-07-28',
  info: { name: 'tester', version: '1.0.0' },
  capabilities: {},
};

/** Who calls, with nothing that a server could ask for. */
export const callerNamed = (sessionKey: string, capabilities: JsonObject = {}, era: 'modern' | 'legacy' = 'modern'): CallerOfServer => ({
  principal: sessionKey,
  sessionKey,
  client: { ...modernFacts, era, capabilities },
});
export const anyone = callerNamed('person:default/admin');

/** A request as the steps of a tool call make it. */
export const toolCall = (name: string, argumentsOfCall: JsonObject = {}, changes: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  method: 'tools/call',
  params: { name, arguments: argumentsOfCall },
  idleTimeoutMs: 20_000,
  totalTimeoutMs: 20_000,
  signal: new AbortController().signal,
  ...changes,
});

/** The text of a tool's answer. */
export const textIn = (reply: Reply): string => {
  if (reply.kind === 'error') throw new Error(`${reply.error.code}: ${reply.error.message}`);
  return (reply.result.content as { text: string }[])[0]?.text ?? '';
};
export const callText = async (connection: Connection, ...call: Parameters<typeof toolCall>): Promise<string> =>
  textIn(await connection.request(toolCall(...call)));

export type UpstreamHarness = Awaited<ReturnType<typeof startUpstreamHarness>>;

/** Pools of connections on a database of their own, without the rest of a gateway; `clock.skip` moves their time on. */
export const startUpstreamHarness = async ({ hostUrl = 'http://127.0.0.1:9', hostKey = 'key' } = {}) => {
  const { url, close: drop } = await startTestDatabase();
  const database: Database = openDatabase({ url, name: 'test-upstream' });
  await applyResources(database, parsed({ kind: 'Project', metadata: { name: 'default' }, spec: {} }));
  let declared: Declared = await loadDeclared(database);
  let skippedMs = 0;
  const closes: (() => Promise<void>)[] = [];

  const config = { resultKey: Buffer.alloc(32, 7).toString('base64'), profile: 'dev' };
  const context = {
    config,
    database,
    halts: nothingHalted,
    rates: nothingLimited,
    declared: () => declared,
    keysFor: (purpose: string) => deriveContentKeys(config.resultKey, purpose),
    logger: createLogger({ name: 'test', level: process.env.TEST_LOG ?? 'silent' }),
    now: () => Date.now() + skippedMs,
  } as unknown as GatewayContext;
  const host = createHostClient({ hostUrl, hostKey });
  const refresh = async (): Promise<void> => {
    declared = await loadDeclared(database);
  };

  return {
    database,
    context,
    host,
    refresh,
    clock: {
      skip: (ms: number): void => {
        skippedMs += ms;
      },
    },
    /** One replica. */
    startPool: (options: { connectTimeoutMs?: number; idleMs?: number } = {}) => {
      const pool = createUpstreamPool({ context, host, connectTimeoutMs: 2000, ...options });
      closes.push(pool.close);
      return pool;
    },
    declare: async (name: string, spec: object): Promise<McpServer> => {
      await applyResources(database, parsed({ kind: 'McpServer', metadata: { name }, spec }));
      await refresh();
      const server = declared.find('McpServer', tenancy, name);
      if (server === undefined) throw new Error('not declared');
      return server;
    },
    remove: async (name: string): Promise<void> => {
      await deleteResource(database, { ...tenancy, kind: 'McpServer', name });
      await deleteDefinitions(database, { ...tenancy, server: name });
      await refresh();
    },
    declared: () => declared,
    close: async () => {
      for (const close of closes) await close();
      await closeDatabase(database);
      await drop();
    },
  };
};
