import { createHash } from 'node:crypto';
import pino from 'pino';
import type { GatewayContext } from '../../gateway/gateway-context.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { JsonObject, Notification, Reply } from '../../gateway/mcp/message.ts';
import type { PersonPrincipal, Principal } from '../../gateway/principal.ts';
import type { Connection, UpstreamRequest } from '../../gateway/upstream/upstream.ts';
import type { McpServer, ServerFacts, UpstreamPool } from '../../gateway/upstream/upstream-pool.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { PlatformError } from '../../schema/errors.ts';
import { type Endpoint, parseEndpoint } from '../../schema/mcp-endpoint.ts';
import type { Era } from '../../schema/mcp-revisions.ts';
import type { Resource, StoredResource } from '../../schema/resource.ts';
import { type Declared, declaredFrom, projectPolicies } from '../../store/declared.ts';
import type { Definition } from '../../store/definition.ts';
import type { DefinitionKind } from '../../store/definitions.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { nothingHalted, nothingLimited } from './no-limits.ts';
import { parsed } from './running-gateway.ts';

/** A server as the tests pretend it: what it offers, what it lists at the moment, and how it answers. */
export type PretendServer = {
  tools?: JsonObject[];
  prompts?: JsonObject[];
  templates?: JsonObject[];
  resources?: JsonObject[];
  capabilities?: JsonObject;
  instructions?: string;
  era?: Era;
  /** Answers all but `resources/list`; the result is `{}` without it. */
  answer?: (request: UpstreamRequest) => Reply | Promise<Reply>;
  /** Never answers `resources/list`. */
  hangs?: boolean;
};

export const admin: PersonPrincipal = {
  kind: 'person',
  org: 'default',
  id: 'admin',
  groups: [],
  roles: ['administrator'],
  disabled: false,
  stamp: 'admin-token',
  grant: 'token:admin/admin-token',
};
export const guest: PersonPrincipal = {
  ...admin,
  id: 'guest',
  groups: ['guests'],
  roles: [],
  stamp: 'guest-token',
  grant: 'token:guest/guest-token',
};

export const hashOf = (definition: JsonObject): string => createHash('sha256').update(JSON.stringify(definition)).digest('hex');

export const definitionOf = (
  server: string,
  kind: DefinitionKind,
  definition: JsonObject,
  changes: Partial<Definition> = {},
): Definition => ({
  org: 'default',
  project: 'default',
  server,
  kind,
  name: String(definition[kind === 'template' ? 'uriTemplate' : 'name']),
  definition,
  currentDefinition: null,
  approvedHash: hashOf(definition),
  currentHash: hashOf(definition),
  readOnly: false,
  destructive: true,
  idempotent: false,
  openWorld: true,
  issues: [],
  warnings: [],
  cameLater: false,
  approvedGeneration: 1,
  quarantined: '',
  approvedBy: null,
  ...changes,
});

export const stored = (resources: Resource[]): StoredResource[] =>
  resources.map((resource) => ({
    ...resource,
    uid: `uid-${resource.kind}-${resource.metadata.name}`,
    generation: 1,
    status: { observedGeneration: 0, conditions: [] },
    createdAt: '',
    updatedAt: '',
  }));

const kinds = { tool: 'tools', prompt: 'prompts', template: 'templates' } as const;

const definitionsOf = (servers: Readonly<Record<string, PretendServer>>): Definition[] =>
  Object.entries(servers).flatMap(([name, server]) =>
    (['tool', 'prompt', 'template'] as const).flatMap((kind) => (server[kinds[kind]] ?? []).map((item) => definitionOf(name, kind, item))),
  );

export type SurfaceFixture = ReturnType<typeof createSurfaceFixture>;

/** What a surface works with, without a gateway around it: real policies over what is declared here, and servers that only pretend. */
export const createSurfaceFixture = (servers: Record<string, PretendServer>, ...documents: object[]) => {
  const logger = pino({ level: 'silent' });
  const policy = createPolicyEngine();
  const audit: NewAuditEvent[] = [];
  const asked: { server: string; request: UpstreamRequest }[] = [];
  const declaredListeners = new Set<(declared: Declared) => void>();
  const serverListeners = new Set<(server: McpServer) => void>();
  const ears = new Map<string, (notification: Notification) => void>();
  const down = new Set<string>();
  let declared = declaredFrom([], []);

  const declare = (...all: object[]): void => {
    const names = Object.keys(servers).map((name) => ({ kind: 'McpServer', metadata: { name }, spec: { url: 'http://127.0.0.1:9/mcp' } }));
    const project = all.some((document) => 'kind' in document && document.kind === 'Project')
      ? []
      : [{ kind: 'Project', metadata: { name: 'default' }, spec: {} }];
    const next = declaredFrom(stored(parsed(...project, ...names, ...all)), definitionsOf(servers));
    for (const tenancy of next.projects()) {
      const loaded = policy.load(tenancy, projectPolicies(next, tenancy));
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.issues));
    }
    declared = next;
    for (const listener of declaredListeners) listener(next);
  };
  declare(...documents);

  const factsOf = ({ metadata }: McpServer): ServerFacts | undefined => {
    const server = servers[metadata.name];
    return (
      server && {
        era: server.era ?? 'legacy',
        capabilities: server.capabilities ?? {
          tools: {},
          ...(server.prompts ? { prompts: {} } : {}),
          ...(server.resources || server.templates ? { resources: {} } : {}),
        },
        ...(server.instructions === undefined ? {} : { instructions: server.instructions }),
      }
    );
  };

  const connect = async (server: McpServer): Promise<Connection> => {
    const { name } = server.metadata;
    const pretend = servers[name];
    const facts = factsOf(server);
    if (!pretend || !facts || down.has(name)) throw new PlatformError('server_unavailable', `The MCP server ${name} does not answer.`);
    return {
      ...facts,
      isolation: 0,
      offered: new Map(
        (['tool', 'prompt', 'template'] as const).flatMap((kind) =>
          declared.definitionsOf(server.metadata, name, kind).map((pin) => [`${kind}/${pin.name}`, pin.currentHash] as const),
        ),
      ),
      assertRoom: () => undefined,
      request: async (request) => {
        asked.push({ server: name, request });
        if (request.method === 'resources/list') {
          if (pretend.hangs) return new Promise(() => undefined);
          return { kind: 'result', result: { resources: pretend.resources ?? [] } };
        }
        return (await pretend.answer?.(request)) ?? { kind: 'result', result: {} };
      },
    };
  };

  const pool: UpstreamPool = {
    connect,
    look: connect,
    forget: () => undefined,
    tell: () => undefined,
    letGo: async () => undefined,
    listen: async (server, _run, filter, onNotification) => {
      ears.set(server.metadata.name, onNotification);
      return { accepted: filter, close: () => void ears.delete(server.metadata.name) };
    },
    healthOf: ({ metadata }) => (down.has(metadata.name) ? 'open' : 'closed'),
    factsOf,
    onServerChange: (listener) => {
      serverListeners.add(listener);
      return () => void serverListeners.delete(listener);
    },
    endSession: async () => undefined,
    dropUndeclared: async () => undefined,
    close: async () => undefined,
  };

  const resultKey = Buffer.alloc(32, 5).toString('base64');
  const context = {
    config: { resultKey },
    keysFor: (purpose: string) => deriveContentKeys(resultKey, purpose),
    instance: 'test',
    halts: nothingHalted,
    rates: nothingLimited,
    decisionFacts: { note: () => undefined },
    audit: { assertWritable: () => undefined, write: (event: NewAuditEvent) => void audit.push(event) },
    labels: { isUsed: () => false, of: () => undefined, join: () => undefined },
    policy,
    declared: () => declared,
    onDeclared: (listener: (declared: Declared) => void) => {
      declaredListeners.add(listener);
      return () => void declaredListeners.delete(listener);
    },
    logger,
    now: Date.now,
  } as unknown as GatewayContext;

  return {
    context,
    pool,
    servers,
    declare,
    audit,
    /** What servers were asked, in order. */
    asked,
    ears,
    /** A server stops answering, or answers again. */
    setDown: (name: string, isDown: boolean): void => {
      if (isDown) down.add(name);
      else down.delete(name);
      const server = declared.find('McpServer', { org: 'default', project: 'default' }, name);
      for (const listener of serverListeners) if (server) listener(server);
    },
  };
};

export const endpointOf = (path: string): Endpoint => {
  const endpoint = parseEndpoint(path);
  if (!endpoint) throw new Error(`no endpoint at ${path}`);
  return endpoint;
};

/** A request as an edge would hand it on. */
export const requestOf = (
  method: string,
  params: JsonObject = {},
  { path = '/mcp/all', principal = admin, era = 'modern' }: { path?: string; principal?: Principal; era?: Era } = {},
): ClientRequest => ({
  id: 1,
  method,
  params,
  principal,
  endpoint: endpointOf(path),
  client: { era, protocolVersion: era === 'modern' ? '2026-07-28' : '2025-11-25', capabilities: {} },
  parameterHeaders: {},
  logLevel: undefined,
  signal: new AbortController().signal,
  notify: async () => undefined,
});
