import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type JsonObject, objectAt, type Reply } from '../../gateway/mcp/message.ts';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { queryAudit } from '../../store/audit.ts';
import { applyResources, deleteResource } from '../../store/resources.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { parsed } from '../support/running-gateway.ts';
import {
  askable,
  errorOf,
  hearing,
  legacyClient,
  resultOf,
  type SurfaceReplica,
  startSurfaceReplica,
  withTasks,
} from '../support/surface-replica.ts';

const object = (properties: JsonObject, required: string[] = []): JsonObject => ({ type: 'object', properties, required });
const tools = [
  { name: 'act', inputSchema: object({ path: { type: 'string' }, count: { type: 'integer', minimum: 1 } }) },
  { name: 'look', inputSchema: object({ region: { type: 'string', 'x-mcp-header': 'Region' } }), annotations: { readOnlyHint: true } },
  { name: 'put', inputSchema: object({}), annotations: { readOnlyHint: false, idempotentHint: true } },
  {
    name: 'weigh',
    inputSchema: { ...object({ id: { type: 'string' } }, ['id']), additionalProperties: false },
    outputSchema: object({ grams: { type: 'number' } }, ['grams']),
    annotations: { readOnlyHint: true },
  },
  {
    name: 'old',
    inputSchema: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      ...object({ n: { $ref: '#/definitions/n' } }),
      definitions: { n: { type: 'number' } },
    },
    annotations: { readOnlyHint: true },
  },
  {
    name: 'far',
    inputSchema: { type: 'object', properties: { n: { $ref: 'https://example.com/n.json' } } },
    annotations: { readOnlyHint: true },
  },
];
const longTool = { name: 'research', inputSchema: object({}), execution: { taskSupport: 'required' } };

type Seen = { message: { method: string; params?: JsonObject }; headers: Record<string, unknown> };
const seen: Record<'legacy' | 'modern', Seen[]> = { legacy: [], modern: [] };
type Answer = (
  message: { id?: unknown; method: string; params?: JsonObject },
  http: Parameters<NonNullable<RawMcpServer['answers'][string]>>[1],
) => unknown;
const onCall: Record<'legacy' | 'modern', Answer | undefined> = { legacy: undefined, modern: undefined };
let onTaskResult: Answer | undefined;
const done = { content: [{ type: 'text', text: 'done' }] };

const recording =
  (name: 'legacy' | 'modern', answer: Answer): RawMcpServer['answers'][string] =>
  async (message, http) => {
    seen[name].push({ message, headers: { ...http.request.headers } });
    return (await answer(message, http)) as object | undefined;
  };

const startLegacy = () =>
  startRawMcpServer({
    initialize: () => ({
      result: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {}, tasks: { requests: { tools: { call: {} } } } },
        serverInfo: { name: 'legacy', version: '1' },
      },
    }),
    'tools/list': () => ({ result: { tools: [...tools, longTool] } }),
    'tools/call': recording('legacy', (message, http) => (onCall.legacy ? onCall.legacy(message, http) : { result: done })),
    'tasks/result': recording('legacy', (message, http) =>
      onTaskResult ? onTaskResult(message, http) : { result: { content: [{ type: 'text', text: 'researched' }] } },
    ),
  });

const unsupported = { error: { code: -32601, message: 'Method not found' } };
const startModern = () =>
  startRawMcpServer({
    initialize: () => unsupported,
    'server/discover': () => ({
      result: {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } },
        serverInfo: { name: 'modern', version: '1' },
        ttlMs: 0,
        cacheScope: 'public',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'modern', version: '1' } },
      },
    }),
    'tools/list': () => ({ result: { resultType: 'complete', tools, ttlMs: 0, cacheScope: 'public' } }),
    'tools/call': recording('modern', (message, http) =>
      onCall.modern
        ? onCall.modern(message, http)
        : {
            result: {
              ...done,
              resultType: 'complete',
              ttlMs: 5,
              cacheScope: 'public',
              _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'modern', version: '1' }, 'acme.example/note': 'kept' },
            },
          },
    ),
    ...Object.fromEntries(
      ['tasks/get', 'tasks/update', 'tasks/cancel'].map((method) => [method, recording('modern', (message) => onTask(message))]),
    ),
  });
let onTask: (message: { method: string; params?: JsonObject }) => unknown = () => unsupported;

let replica: SurfaceReplica;
const servers = {} as Record<'legacy' | 'modern', RawMcpServer>;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const database = await startTestDatabase();
  Object.assign(servers, { legacy: await startLegacy(), modern: await startModern() });
  replica = await startSurfaceReplica(database.url);
  await applyResources(
    replica.database,
    parsed(
      { kind: 'Project', metadata: { name: 'default' }, spec: {} },
      ...Object.entries(servers).flatMap(([name, { url }]) => [
        { kind: 'McpServer', metadata: { name }, spec: { url, timeoutSeconds: 2, totalTimeoutSeconds: 4 } },
        {
          kind: 'Toolset',
          metadata: { name },
          spec: { servers: [{ name, fix: { act: { count: 3 } }, rename: { look: 'see' } }], naming: 'plain' },
        },
      ]),
    ),
  );
  await pollUntil(async () => replica.context.declared().list('Toolset').length === 2 || undefined, 'the toolsets');
  await replica.look('legacy', 'modern');
  closing.push(replica.close, servers.legacy.close, servers.modern.close, database.close);
});
afterAll(async () => {
  for (const close of closing) await close();
});
beforeEach(() => {
  seen.legacy = [];
  seen.modern = [];
  onCall.legacy = undefined;
  onCall.modern = undefined;
  onTaskResult = undefined;
});

const auditRow = (matches: (row: Awaited<ReturnType<typeof queryAudit>>[number]) => boolean) =>
  pollUntil(
    async () => (await queryAudit(replica.database, { org: 'default', project: 'default' }, AuditQuerySchema.parse({}))).find(matches),
    'an audit row',
  );
const lastAt = (name: 'legacy' | 'modern'): Seen => seen[name].at(-1) as Seen;
const plain = legacyClient(() => ({ kind: 'result', result: {} }));

describe.each(['legacy', 'modern'] as const)('arguments for a %s server', (toolset) => {
  test.each([
    { tool: 'weigh', args: {}, field: 'arguments.id' },
    { tool: 'weigh', args: { id: 7 }, field: 'arguments.id' },
    { tool: 'weigh', args: { id: 'a', extra: 1 }, field: 'arguments.extra' },
    { tool: 'old', args: { n: 'seven' }, field: 'arguments.n' },
  ])('that do not fit the pinned schema of $tool are refused by field and never sent', async ({ tool, args, field }) => {
    const error = errorOf(await replica.call(tool, args, { toolset }));
    expect(error).toMatchObject({ code: -32602, data: { code: 'request_invalid' } });
    expect(error.message).toContain(field);
    expect(seen[toolset]).toEqual([]);
    await auditRow((row) => row.kind === 'refusal' && row.tool === tool && row.errorCode === 'request_invalid');
  });

  test('that no schema here can judge go to the server', async () => {
    expect(resultOf(await replica.call('far', { n: 1 }, { toolset }))).toMatchObject(done);
  });

  test('that the toolset sets are the server’s, whatever the client says', async () => {
    await replica.call('act', { path: '/a', count: 9 }, { toolset });
    expect(lastAt(toolset).message.params).toMatchObject({ name: 'act', arguments: { path: '/a', count: 3 } });
  });
});

describe('what goes along with a call', () => {
  test('headers are checked against the body and made anew for the server', async () => {
    const traceId = 'ab'.repeat(16);
    const traceparent = `00-${traceId}-00000000000000cd-01`;
    const meta = { _meta: { traceparent, 'acme.example/x': 1, 'io.modelcontextprotocol/other': 1, 'quarterdeck.dev/y': 1 } };
    const call = (parameterHeaders: Record<string, string>) =>
      replica.call('see', { region: 'Zürich' }, { toolset: 'modern', parameterHeaders, rest: meta });
    expect(errorOf(await call({}))).toMatchObject({ code: -32020 });
    expect(errorOf(await call({ 'mcp-param-region': 'Bern' }))).toMatchObject({ code: -32020 });
    expect(seen.modern).toEqual([]);
    const encoded = '=?base64?WsO8cmljaA==?=';
    expect(resultOf(await call({ 'mcp-param-region': encoded, 'mcp-param-unknown': 'as it is' }))).toMatchObject(done);
    const { message, headers } = lastAt('modern');
    expect(headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-name': 'look',
      'mcp-param-region': encoded,
      'mcp-param-unknown': 'as it is',
    });
    // the same trace, and this hop in it
    const passed = { traceparent: expect.stringMatching(new RegExp(`^00-${traceId}-(?!00000000000000cd)[0-9a-f]{16}-01$`)) };
    expect(message.params?._meta).toMatchObject({ ...passed, 'acme.example/x': 1 });
    expect(headers).toMatchObject(passed);
    expect(message.params?._meta).not.toHaveProperty(['io.modelcontextprotocol/other']);
    expect(message.params?._meta).not.toHaveProperty(['quarterdeck.dev/y']);
  });

  test('a result loses what belongs to the hop behind it, and what the client’s era has no word for', async () => {
    const modern = resultOf(await replica.call('see', {}, { toolset: 'modern' }));
    expect(modern._meta).toEqual({ 'acme.example/note': 'kept' });
    expect(resultOf(await replica.call('see', {}, { toolset: 'modern', ...plain }))).toEqual({
      ...done,
      _meta: { 'acme.example/note': 'kept' },
    });
  });
});

describe('what comes back', () => {
  test.each(['legacy', 'modern'] as const)('is held to the pinned output schema (%s server)', async (toolset) => {
    const answering = (result: JsonObject) => {
      onCall[toolset] = () => ({ result: { content: [], ...result } });
      return replica.call('weigh', { id: 'a' }, { toolset });
    };
    expect(resultOf(await answering({ structuredContent: { grams: 3 } }))).toMatchObject({ structuredContent: { grams: 3 } });
    for (const [wrong, field] of [
      [{ structuredContent: { grams: 'three' } }, 'structuredContent.grams'],
      [{ structuredContent: {} }, 'structuredContent.grams'],
      [{}, 'structuredContent'],
    ] as const) {
      const { isError, content } = resultOf(await answering(wrong));
      expect(isError).toBe(true);
      expect(JSON.stringify(content)).toContain(field);
    }
    expect(resultOf(await answering({ isError: true, content: [{ type: 'text', text: 'no' }] }))).toMatchObject({ isError: true });
  });

  test('over the limit is a tool error that names it', async () => {
    onCall.modern = () => ({ result: { content: [{ type: 'text', text: 'x'.repeat(16 * 1024 * 1024) }] } });
    const { isError, content } = resultOf(await replica.call('see', {}, { toolset: 'modern' }));
    expect(isError).toBe(true);
    expect(JSON.stringify(content)).toContain('limit of 16777216 bytes');
  });

  test('a legacy server’s wish for a visited URL becomes a question of the modern era, and the call is made again', async () => {
    onCall.legacy = () => ({
      error: {
        code: -32042,
        message: 'visit',
        data: { elicitations: [{ mode: 'url', elicitationId: 'e', url: 'https://a.example/', message: 'Go' }] },
      },
    });
    const capabilities = { elicitation: { form: {}, url: {} } };
    const { inputRequests, requestState } = resultOf(await replica.call('act', {}, { toolset: 'legacy', capabilities }));
    expect(inputRequests).toEqual({
      'visit-1': { method: 'elicitation/create', params: { mode: 'url', url: 'https://a.example/', message: 'Go' } },
    });
    onCall.legacy = undefined;
    const rest = { inputResponses: { 'visit-1': { action: 'accept' } }, requestState };
    expect(resultOf(await replica.call('act', {}, { toolset: 'legacy', capabilities, rest }))).toMatchObject(done);
    expect(lastAt('legacy').message.params).not.toHaveProperty('requestState');
    expect(errorOf(await replica.call('act', {}, { toolset: 'modern', capabilities, rest }))).toMatchObject({ code: -32602 });
  });
});

describe('a server that is lost in the middle of a call', () => {
  const twoThenReset: Answer = ({ params }, { response }) => {
    const progressToken = (params?._meta as JsonObject | undefined)?.progressToken;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const progress of [1, 2])
      response.write(
        `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress } })}\n\n`,
      );
    setTimeout(() => response.destroy(), 50);
  };

  test.each([
    { tool: 'see', code: 'server_unavailable', retryable: true },
    { tool: 'put', code: 'operation_unknown', retryable: true },
    { tool: 'act', code: 'operation_unknown', retryable: false },
  ])('after two progress events ends $tool once, within a second, retryable: $retryable', async ({ tool, code, retryable }) => {
    onCall.modern = twoThenReset;
    const { said, notify } = hearing();
    const startedAt = performance.now();
    const error = errorOf(await replica.call(tool, {}, { toolset: 'modern', notify, rest: { _meta: { progressToken: 5 } } }));
    expect(performance.now() - startedAt).toBeLessThan(1000);
    expect(said.map(({ params }) => params?.progress)).toEqual([1, 2]);
    expect(error).toMatchObject({ code: -32010, data: { code, retryable } });
    expect(seen.modern).toHaveLength(1);
    const own = tool === 'see' ? 'look' : tool;
    await auditRow((row) => row.tool === own && row.outcome === 'unknown');
  });

  test.each([401, 404, 413, 429, 503])(
    'a bare %i may be a proxy’s word after the effect: only what reads is asked for again',
    async (status) => {
      for (const toolset of ['legacy', 'modern'] as const) {
        onCall[toolset] = (_message, { response }) => void response.writeHead(status).end('<html>');
        expect(errorOf(await replica.call('act', {}, { toolset }))).toMatchObject({ data: { code: 'operation_unknown' } });
        expect(seen[toolset]).toHaveLength(1);
        const named = { toolset, idempotencyKey: `refused-${toolset}-${status}` };
        for (let tries = 0; tries < 2; tries += 1)
          expect(errorOf(await replica.call('act', {}, named))).toMatchObject({ data: { code: 'operation_unknown' } });
        expect(seen[toolset]).toHaveLength(2);
        expect(errorOf(await replica.call('see', {}, { toolset }))).toMatchObject({ data: { code: 'server_unavailable' } });
        // a server that is asked too often is not asked once more at once
        expect(seen[toolset]).toHaveLength(status === 503 || status === 429 ? 3 : 4);
      }
    },
  );

  test('silence ends a call at the idle deadline, and only its server hears of it', async () => {
    let isTakenBack = false;
    onCall.modern = (_message, { response }) => {
      response.once('close', () => {
        isTakenBack = true;
      });
      return new Promise(() => undefined);
    };
    const error = errorOf(await replica.call('see', {}, { toolset: 'modern' }));
    expect(error).toMatchObject({ data: { code: 'server_unavailable', reason: 'deadline', wasSent: true } });
    await pollUntil(async () => isTakenBack || undefined, 'the server to hear of it');
    expect(seen.legacy).toEqual([]);
  });

  test('progress begins the idle deadline anew, and the absolute one ends the call all the same', async () => {
    const ticking: NodeJS.Timeout[] = [];
    onCall.modern = ({ params }, { response }) => {
      const { progressToken } = objectAt(params, '_meta');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let progress = 0;
      const tick = () => {
        progress += 1;
        response.write(
          `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress } })}\n\n`,
        );
      };
      ticking.push(setInterval(tick, 400));
      response.once('close', () => ticking.forEach(clearInterval));
    };
    const { said, notify } = hearing();
    const startedAt = performance.now();
    const error = errorOf(await replica.call('see', {}, { toolset: 'modern', notify, rest: { _meta: { progressToken: 'p' } } }));
    expect(error).toMatchObject({ data: { code: 'server_unavailable', reason: 'deadline' } });
    expect(performance.now() - startedAt).toBeGreaterThan(3900);
    expect(said.length).toBeGreaterThan(5);
  });

  test('a client that leaves takes its call back within a second; a named operation goes on to its end', async () => {
    let isTakenBack = false;
    let finish: (() => void) | undefined;
    onCall.modern = (_message, { response }) => {
      response.once('close', () => {
        isTakenBack = true;
      });
      return new Promise((resolve) => {
        finish = () => resolve({ result: done });
      });
    };
    for (const rest of [{}, { idempotencyKey: 'named-1' }]) {
      isTakenBack = false;
      const leaving = new AbortController();
      const reply = replica.call('act', {}, { toolset: 'modern', signal: leaving.signal, ...rest });
      await pollUntil(async () => seen.modern.length > 0 || undefined, 'the call to arrive');
      const leftAt = performance.now();
      leaving.abort();
      if (rest.idempotencyKey === undefined) {
        expect(errorOf(await reply)).toBeDefined();
        await pollUntil(async () => isTakenBack || undefined, 'the server to hear of it');
        expect(performance.now() - leftAt).toBeLessThan(1000);
      } else {
        finish?.();
        await reply;
        expect(resultOf(await replica.call('act', {}, { toolset: 'modern', ...rest }))).toMatchObject(done);
      }
      expect(seen.modern).toHaveLength(1);
      seen.modern = [];
    }
  });
});

describe('rounds of an operation', () => {
  test('each is made once: a retry of a round finds its outcome', async () => {
    let rounds = 0;
    onCall.modern = ({ params }) => {
      rounds += 1;
      if (params?.inputResponses) return { result: { ...done, resultType: 'complete' } };
      const inputRequests = {
        ok: { method: 'elicitation/create', params: { message: '?', requestedSchema: { type: 'object', properties: {} } } },
      };
      return { result: { resultType: 'input_required', inputRequests, requestState: 'mine' } };
    };
    const asked = { toolset: 'modern', idempotencyKey: 'rounds-1' };
    const first = resultOf(await replica.call('act', {}, asked));
    expect(resultOf(await replica.call('act', {}, asked))).toMatchObject({
      resultType: 'input_required',
      inputRequests: first.inputRequests,
    });
    expect(rounds).toBe(1);
    const rest = { inputResponses: { ok: { action: 'accept', content: {} } }, requestState: first.requestState };
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(resultOf(await replica.call('act', {}, { ...asked, rest }))).toMatchObject(done);
    // an operation that nobody named is known by its state
    const { idempotencyKey: _none, ...unnamed } = asked;
    expect(resultOf(await replica.call('act', {}, { ...unnamed, rest }))).toMatchObject(done);
    expect(rounds).toBe(2);
    expect(lastAt('modern').message.params).toMatchObject({ requestState: 'mine', inputResponses: rest.inputResponses });
    const other = { ...rest, inputResponses: { ok: { action: 'decline' } } };
    expect(errorOf(await replica.call('act', {}, { ...asked, rest: other }))).toMatchObject({ data: { code: 'operation_conflict' } });
  });

  test('each is gone on with by one operation and with one set of answers, however often its state was handed out', async () => {
    let rounds = 0;
    const inputRequests = { ok: { method: 'elicitation/create', params: { message: '?', requestedSchema: object({}) } } };
    onCall.modern = ({ params }) => {
      if (!params?.inputResponses) return { result: { resultType: 'input_required', inputRequests, requestState: 'mine' } };
      rounds += 1;
      return { result: { ...done, resultType: 'complete' } };
    };
    const asked = { toolset: 'modern', idempotencyKey: 'once-1' };
    const first = resultOf(await replica.call('act', {}, asked));
    const again = resultOf(await replica.call('act', {}, asked));
    expect(again.requestState).not.toBe(first.requestState);
    const go = (requestState: unknown, idempotencyKey: string, action = 'accept', tool = 'act') =>
      replica.call(tool, {}, { toolset: 'modern', idempotencyKey, rest: { inputResponses: { ok: { action } }, requestState } });
    const racing = await Promise.all(['once-2', 'once-3', 'once-4'].map((key) => go(first.requestState, key)));
    expect(racing.filter(({ kind }) => kind === 'result')).toHaveLength(1);
    expect(racing.filter(({ kind }) => kind === 'error').map((reply) => errorOf(reply).code)).toEqual([-32602, -32602]);
    const winner = `once-${racing.findIndex(({ kind }) => kind === 'result') + 2}`;
    for (const state of [first.requestState, again.requestState]) {
      expect(errorOf(await go(state, 'once-5'))).toMatchObject({ code: -32602, data: { code: 'request_invalid' } });
      expect(resultOf(await go(state, winner))).toMatchObject(done);
    }
    expect(errorOf(await go(first.requestState, winner, 'decline'))).toMatchObject({ data: { code: 'operation_conflict' } });
    expect(rounds).toBe(1);

    // what only reads has no row of its own to be found by
    const reading = resultOf(await replica.call('see', {}, { toolset: 'modern' }));
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(resultOf(await go(reading.requestState, 'read-1', 'accept', 'see'))).toMatchObject(done);
    expect(errorOf(await go(reading.requestState, 'read-2', 'accept', 'see'))).toMatchObject({ code: -32602 });
    expect(errorOf(await go(reading.requestState, 'read-1', 'cancel', 'see'))).toMatchObject({ data: { code: 'operation_conflict' } });
  });

  test('a server that never has enough is left after ten of them', async () => {
    let rounds = 0;
    onCall.modern = () => {
      rounds += 1;
      const inputRequests = { ok: { method: 'roots/list', params: {} } };
      return { result: { resultType: 'input_required', inputRequests } };
    };
    const client = legacyClient(() => ({ kind: 'result', result: { roots: [] } }));
    expect(errorOf(await replica.call('act', {}, { toolset: 'modern', ...client }))).toMatchObject({
      message: expect.stringContaining('after 10 rounds'),
    });
    expect(rounds).toBe(11);
  });
});

describe('tasks that a server keeps itself', () => {
  const taskAtServer = {
    resultType: 'task',
    taskId: 'upstream-1',
    status: 'working',
    createdAt: 'x',
    lastUpdatedAt: 'x',
    ttlMs: 60_000,
    pollIntervalMs: 100,
  };
  const handle = (method: string, params: JsonObject): Promise<Reply> =>
    replica.handle({ method, params, toolset: 'modern', capabilities: withTasks });

  test('come back to it under an id of ours', async () => {
    onCall.modern = () => ({ result: taskAtServer });
    let status = 'input_required';
    onTask = ({ method, params }) => {
      if (params?.taskId !== 'upstream-1') return { error: { code: -32602, message: 'no such task' } };
      if (method === 'tasks/update') status = 'completed';
      if (method !== 'tasks/get') return { result: { resultType: 'complete' } };
      const rest = status === 'completed' ? { result: done } : { inputRequests: { roots: { method: 'roots/list', params: {} } } };
      return { result: { ...taskAtServer, resultType: 'complete', status, ...rest } };
    };
    const created = resultOf(await replica.call('act', {}, { toolset: 'modern', capabilities: withTasks }));
    expect(created).toMatchObject({ resultType: 'task', status: 'working', taskId: expect.stringMatching(/^task_/) });
    expect(JSON.stringify(created)).not.toContain('upstream-1');
    const { taskId } = created;
    expect(resultOf(await handle('tasks/get', { taskId }))).toMatchObject({
      taskId,
      status: 'input_required',
      inputRequests: { roots: {} },
    });
    expect(lastAt('modern').headers).toMatchObject({ 'mcp-method': 'tasks/get', 'mcp-name': 'upstream-1' });
    expect(resultOf(await handle('tasks/update', { taskId, inputResponses: { roots: { roots: [] } } }))).toEqual({});
    expect(lastAt('modern').message.params).toMatchObject({ taskId: 'upstream-1', inputResponses: { roots: { roots: [] } } });
    expect(resultOf(await handle('tasks/get', { taskId }))).toMatchObject({ taskId, status: 'completed', result: done });
    expect(resultOf(await handle('tasks/cancel', { taskId }))).toEqual({});
    expect(lastAt('modern').message.method).toBe('tasks/cancel');
  });

  test('can be taken back there though their tool may not be used any more, and are told no more', async () => {
    onCall.modern = () => ({ result: taskAtServer });
    onTask = () => ({ result: { ...taskAtServer, resultType: 'complete' } });
    const { taskId } = resultOf(await replica.call('act', { path: '/kept' }, { toolset: 'modern', capabilities: withTasks }));
    const cedar =
      'forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/kept") };';
    const forbid = { kind: 'PolicySet', metadata: { name: 'later' }, spec: { cedar } };
    const none = { ...forbid, spec: { cedar: 'forbid (principal, action == Quarterdeck::Action::"callTool", resource);' } };
    for (const [policy, code] of [
      [forbid, 'argument_refused'],
      [none, 'request_invalid'],
    ] as const) {
      await applyResources(replica.database, parsed(policy));
      const refused = () => handle('tasks/get', { taskId });
      await pollUntil(async () => {
        const reply = await refused();
        return (reply.kind === 'error' && objectAt({ data: reply.error.data }, 'data').code === code) || undefined;
      }, 'the policy');
      const before = seen.modern.length;
      expect(errorOf(await handle('tasks/update', { taskId, inputResponses: {} }))).toMatchObject({ data: { code } });
      expect(seen.modern).toHaveLength(before);
      expect(resultOf(await handle('tasks/cancel', { taskId }))).toEqual({});
      expect(lastAt('modern').message).toMatchObject({ method: 'tasks/cancel', params: { taskId: 'upstream-1' } });
    }
    await deleteResource(replica.database, { org: 'default', project: 'default', kind: 'PolicySet', name: 'later' });
    await pollUntil(async () => (await handle('tasks/get', { taskId })).kind === 'result' || undefined, 'it back');
  });

  test('are waited for where the client knows none, with what they ask put to it', async () => {
    let asked = false;
    let isAnswered = false;
    onCall.modern = () => ({ result: taskAtServer });
    onTask = ({ method }) => {
      if (method === 'tasks/update') isAnswered = true;
      const rest = isAnswered
        ? { status: 'completed', result: done }
        : { status: 'input_required', inputRequests: { roots: { method: 'roots/list', params: {} } } };
      return { result: { ...taskAtServer, resultType: 'complete', ...(method === 'tasks/get' ? rest : {}) } };
    };
    const client = legacyClient(() => {
      asked = true;
      return { kind: 'result', result: { roots: [] } };
    });
    expect(resultOf(await replica.call('act', {}, { toolset: 'modern', ...client }))).toMatchObject(done);
    expect(asked).toBe(true);
  });

  test('a tool of a legacy server that can only be a task is called as one, for every client', async () => {
    onCall.legacy = ({ params }) =>
      params?.task ? { result: { task: { taskId: 't', status: 'working' } } } : { error: { code: -32601, message: 'must be a task' } };
    const result = { content: [{ type: 'text', text: 'researched' }] };
    expect(resultOf(await replica.call('research', {}, { toolset: 'legacy', ...plain }))).toMatchObject(result);
    expect(resultOf(await replica.call('research', {}, { toolset: 'legacy', capabilities: withTasks }))).toMatchObject(result);
    expect(errorOf(await replica.call('research', {}, { toolset: 'legacy', capabilities: askable }))).toMatchObject({ code: -32021 });
  });

  test('such a tool has run when only the request for its result was not read: it is not called again', async () => {
    onCall.legacy = () => ({ result: { task: { taskId: 't', status: 'working' } } });
    onTaskResult = (_message, { response }) => {
      const error = { code: -32000, message: 'Bad Request: no valid session' };
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
    };
    for (const asked of [plain, { capabilities: withTasks }]) {
      seen.legacy = [];
      const error = errorOf(await replica.call('research', {}, { toolset: 'legacy', ...asked }));
      expect(error).toMatchObject({ data: { code: 'operation_unknown' } });
      expect(seen.legacy.map(({ message }) => message.method)).toEqual(['tools/call', 'tasks/result']);
    }
  });
});
