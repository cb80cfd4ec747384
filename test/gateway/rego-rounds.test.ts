import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Reply } from '../../gateway/mcp/message.ts';
import type { CompiledRego } from '../../schema/resources/rego.ts';
import { applyResources } from '../../store/resources.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { compiledFixture } from '../support/precompiled-rego.ts';
import { type RawMcpServer, startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { parsed } from '../support/running-gateway.ts';
import { askable, errorOf, resultOf, type SurfaceReplica, startSurfaceReplica } from '../support/surface-replica.ts';

const inputSchema = { type: 'object', properties: { path: { type: 'string' } } };
const tools = [{ name: 'act', inputSchema }];
const done = { content: [{ type: 'text', text: 'done' }] };
const params = { message: '?', requestedSchema: { type: 'object', properties: { word: { type: 'string' } } } };

let database: Awaited<ReturnType<typeof startTestDatabase>>;
let replica: SurfaceReplica;
/** Has a round for its question, of 2026-07-28. */
let modern: RawMcpServer;
/** Asks in the middle of a call that stays open, of 2025-06-18. */
let legacy: RawMcpServer;

beforeAll(async () => {
  database = await startTestDatabase();
  modern = await startRawMcpServer({
    initialize: () => ({ error: { code: -32601, message: 'Method not found' } }),
    'server/discover': () => ({
      result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'public' },
    }),
    'tools/list': () => ({ result: { resultType: 'complete', tools, ttlMs: 0, cacheScope: 'public' } }),
    'tools/call': ({ params: asked }) =>
      asked?.inputResponses
        ? { result: { ...done, resultType: 'complete' } }
        : {
            result: { resultType: 'input_required', inputRequests: { ok: { method: 'elicitation/create', params } }, requestState: 'mine' },
          },
  });
  const answered = () => (legacy.seen as { id?: unknown; method?: string }[]).filter(({ id, method }) => id === 7 && method === undefined);
  legacy = await startRawMcpServer({
    'tools/list': () => ({ result: { tools } }),
    'tools/call': async ({ id }, { response }) => {
      const before = answered().length;
      writeEvents(response, { id: 7, method: 'elicitation/create', params });
      await pollUntil(() => answered().length > before || response.destroyed || undefined, 'the answer', 20_000);
      writeEvents(response, { id, result: done });
      response.end();
      return undefined;
    },
  });
  replica = await startSurfaceReplica(database.url);
  await applyResources(
    replica.database,
    parsed(
      { kind: 'Project', metadata: { name: 'default' }, spec: {} },
      ...[
        ['modern', modern],
        ['legacy', legacy],
      ].flatMap(([name, server]) => [
        { kind: 'McpServer', metadata: { name }, spec: { url: (server as RawMcpServer).url } },
        { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
      ]),
    ),
  );
  await pollUntil(async () => replica.context.declared().list('Toolset').length === 2 || undefined, 'the toolsets');
  await replica.look('modern', 'legacy');
});
afterAll(async () => {
  await replica?.close();
  await Promise.all([modern?.close(), legacy?.close()]);
  await database?.close();
});

const noRego = {};
/** Puts the Rego of the project into force, as a publication does. */
const inForce = (rego?: CompiledRego): void =>
  replica.context.rego.take(
    { org: 'default', project: 'default' },
    {
      policySets: rego
        ? [{ name: 'rounds', rego: { tools: [{ tool: 'act' }], manifests: [], timeLimitMs: 500, compiled: rego } as never }]
        : [noRego as never],
    },
  );
beforeEach(() => inForce());

const call = (toolset: string, path: string, rest: Record<string, unknown> = {}): Promise<Reply> =>
  replica.call('act', { path }, { toolset, capabilities: askable, rest: rest as never });
const answers = (word: string) => ({ inputResponses: { ok: { action: 'accept', content: { word } } } });
const answersTo = (inputRequests: unknown, word: string) => ({
  inputResponses: Object.fromEntries(Object.keys(inputRequests as object).map((key) => [key, { action: 'accept', content: { word } }])),
});

test('each round is asked about with its arguments: Rego that came into force meanwhile refuses the next one, and the server is not asked', async () => {
  const [one, other] = [resultOf(await call('modern', '/etc/a')), resultOf(await call('modern', '/home/a'))];
  inForce(compiledFixture('paths'));
  const before = modern.countOf('tools/call');
  const refused = errorOf(await call('modern', '/etc/a', { requestState: one.requestState, ...answers('yes') }));
  expect(refused).toMatchObject({ data: { code: 'argument_refused', rule: 'rego/rounds/no-etc' } });
  expect(modern.countOf('tools/call')).toBe(before);
  expect(resultOf(await call('modern', '/home/a', { requestState: other.requestState, ...answers('yes') }))).toMatchObject(done);
  expect(modern.countOf('tools/call')).toBe(before + 1);
});

test('Rego sees what the client answers to the server', async () => {
  inForce(compiledFixture('answers'));
  const first = resultOf(await call('modern', '/home/a'));
  const before = modern.countOf('tools/call');
  const refused = errorOf(await call('modern', '/home/a', { requestState: first.requestState, ...answers('my token-12345') }));
  expect(refused).toMatchObject({ data: { code: 'argument_refused', rule: 'rego/rounds/no-token' } });
  expect(modern.countOf('tools/call')).toBe(before);
});

test('so it is where the call stays open at a server that asks in the middle: nothing of the answer reaches it', async () => {
  const first = resultOf(await call('legacy', '/etc/a'));
  expect(first.resultType).toBe('input_required');
  inForce(compiledFixture('paths'));
  const goOn = (word: string) => call('legacy', '/etc/a', { requestState: first.requestState, ...answersTo(first.inputRequests, word) });
  const heard = () => JSON.stringify(legacy.seen);
  expect(errorOf(await goOn('refused-word'))).toMatchObject({ data: { code: 'argument_refused', rule: 'rego/rounds/no-etc' } });
  inForce(compiledFixture('answers'));
  expect(errorOf(await goOn('refused-token-1'))).toMatchObject({ data: { rule: 'rego/rounds/no-token' } });
  expect(heard()).not.toContain('refused');
  const { rows } = await pollUntil(async () => {
    const found = await replica.database.$client.query(
      `select policies, facts from audit_events where kind = 'refusal' and action = 'followTask' order by policies`,
    );
    return found.rows.length === 2 ? found : undefined;
  }, 'the refusals on record');
  expect(rows.map(({ policies }) => policies)).toEqual([['rego/rounds/no-etc'], ['rego/rounds/no-token']]);
  inForce();
  expect(resultOf(await goOn('welcome'))).toMatchObject(done);
  expect(heard()).toContain('welcome');
});
