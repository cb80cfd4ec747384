import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JsonObject, Reply } from '../../gateway/mcp/message.ts';
import type { Principal } from '../../gateway/principal.ts';
import { createSurface } from '../../gateway/surface/create-surface.ts';
import { warningsMeta } from '../../gateway/surface/outages.ts';
import type { Surface } from '../../gateway/surface/surface.ts';
import { useTestDatabase } from '../support/store-database.ts';
import { admin, createSurfaceFixture, guest, requestOf, type SurfaceFixture } from '../support/surface-fixture.ts';

const inputSchema = { type: 'object' };
const text = (uri: string) => ({ kind: 'result', result: { contents: [{ uri, text: `of ${uri}` }] } }) as Reply;

const servers = () => ({
  one: {
    tools: [{ name: 'look', inputSchema, outputSchema: { type: 'array' }, execution: { taskSupport: 'optional' } }],
    prompts: [{ name: 'review', arguments: [{ name: 'path' }] }],
    templates: [{ uriTemplate: 'note:///{id}', name: 'notes' }],
    resources: [
      { uri: 'note:///1', name: 'first' },
      { uri: 'shared://x', name: 'of one' },
    ],
    capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {} },
    instructions: 'Look first.\u200b',
    answer: ({ method, params }: { method: string; params: JsonObject }): Reply => {
      if (method === 'resources/read')
        return params.uri === 'note:///404'
          ? { kind: 'error', error: { code: -32002, message: 'no such note', data: { uri: params.uri } } }
          : text(String(params.uri));
      if (method === 'prompts/get')
        return {
          kind: 'result',
          result: { messages: [{ role: 'user', content: { type: 'resource_link', uri: 'shared://x', name: 'x' } }] },
        };
      return { kind: 'result', result: { completion: { values: Array.from({ length: 120 }, (_, index) => `v${index}`), total: 120 } } };
    },
  },
  two: {
    tools: [{ name: 'act', inputSchema }],
    templates: [{ uriTemplate: 'note:///{id}', name: 'other notes' }],
    resources: [
      { uri: 'shared://x', name: 'of two' },
      { uri: 'two://own', name: 'own' },
    ],
    answer: ({ params }: { params: JsonObject }): Reply => text(String(params.uri)),
  },
});

const policy = `@id("no-secrets") @advice("Leave what is private alone.")
forbid (principal, action == Quarterdeck::Action::"readResource", resource) when { context.arguments.urls.contains("note:///secret") };
@id("plain-prompts") @advice("Name a file below /ok.")
forbid (principal, action == Quarterdeck::Action::"getPrompt", resource) when { context.arguments.paths.contains("/secret") };
@id("not-act")
forbid (principal in Quarterdeck::Group::"default/guests", action == Quarterdeck::Action::"callTool", resource == Quarterdeck::Tool::"default/default/two/act");
@id("not-own")
forbid (principal in Quarterdeck::Group::"default/guests", action == Quarterdeck::Action::"readResource", resource) when { resource.uri == "two://own" };`;

const documents = [
  { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'one' }, { name: 'two' }] } },
  { kind: 'Toolset', metadata: { name: 'closed' }, spec: { servers: [{ name: 'one' }, { name: 'two' }], whenServerFails: 'closed' } },
  { kind: 'Toolset', metadata: { name: 'single' }, spec: { servers: [{ name: 'one' }], naming: 'plain' } },
  {
    kind: 'Toolset',
    metadata: { name: 'notes' },
    spec: {
      servers: [
        { name: 'one', resources: ['note:*', '!note:///private/*'] },
        { name: 'two', resources: 'none' },
      ],
    },
  },
  { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['all'] } },
  { kind: 'PolicySet', metadata: { name: 'rules' }, spec: { cedar: policy } },
];

const { database } = useTestDatabase();
let fixture: SurfaceFixture;
let surface: Surface;
beforeAll(() => {
  fixture = createSurfaceFixture(servers(), ...documents);
  Object.assign(fixture.context, { database: database() });
  surface = createSurface(fixture);
});
afterAll(() => surface.drain());

type About = Parameters<typeof requestOf>[2];
const ask = (method: string, params: JsonObject = {}, about: About = {}): Promise<Reply> =>
  surface.handle(requestOf(method, params, about));
const resultOf = async (method: string, params: JsonObject = {}, about: About = {}): Promise<JsonObject> => {
  const reply = await ask(method, params, about);
  if (reply.kind === 'error') throw new Error(`${method}: ${reply.error.message}`);
  return reply.result;
};
const errorOf = async (method: string, params: JsonObject = {}, about: About = {}) => {
  const reply = await ask(method, params, about);
  if (reply.kind === 'result') throw new Error(`${method} has a result`);
  return reply.error as { code: number; message: string; data: JsonObject };
};
const each = (result: JsonObject, member: string, key: string): unknown[] => (result[member] as JsonObject[]).map((item) => item[key]);
const rows = (action: string) => fixture.audit.filter((row) => row.action === action);

describe('which methods there are', () => {
  test.each([
    ['ping', 'modern'],
    ['logging/setLevel', 'modern'],
    ['resources/subscribe', 'modern'],
    ['resources/unsubscribe', 'modern'],
    ['tasks/get', 'legacy'],
    ['subscriptions/listen', 'legacy'],
    ['tools/run', 'legacy'],
    ['toString', 'modern'],
  ] as const)('%s is none in the %s era', async (method, era) => {
    expect(await errorOf(method, {}, { era })).toMatchObject({ code: -32601 });
  });

  test('ping is answered, and a log level is kept by the session', async () => {
    expect(await resultOf('ping', {}, { era: 'legacy' })).toEqual({});
    let level: string | undefined;
    const session = { id: 's', notify: () => undefined, ask: async () => ({ kind: 'result' as const, result: {} }), logLevel: undefined };
    const request = requestOf('logging/setLevel', { level: 'warning' }, { era: 'legacy' });
    const setLogLevel = (given: string) => {
      level = given;
    };
    expect(await surface.handle({ ...request, session: { ...session, setLogLevel } })).toEqual({ kind: 'result', result: {} });
    expect(level).toBe('warning');
    expect(await errorOf('logging/setLevel', { level: 'loud' }, { era: 'legacy' })).toMatchObject({ code: -32602 });
  });
});

describe('lists', () => {
  test('stand in the order of the names and come byte for byte the same each time', async () => {
    const [first, second] = [await resultOf('tools/list'), await resultOf('tools/list')];
    expect(each(first, 'tools', 'name')).toEqual(['one__look', 'two__act']);
    expect(JSON.stringify(second)).toBe(JSON.stringify(first));
  });

  test('tell modern clients that they are private and how long to keep them, and legacy ones nothing of it', async () => {
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
      expect(await resultOf(method)).toMatchObject({ ttlMs: 5000, cacheScope: 'private' });
      expect(Object.keys(await resultOf(method, {}, { era: 'legacy' }))).toHaveLength(1);
    }
  });

  test('hold back an output schema that older clients would stumble over', async () => {
    const tool = async (era: 'modern' | 'legacy') => ((await resultOf('tools/list', {}, { era })).tools as JsonObject[])[0];
    expect(await tool('modern')).toEqual({ name: 'one__look', inputSchema, outputSchema: { type: 'array' } });
    expect(await tool('legacy')).toEqual({ name: 'one__look', inputSchema });
  });

  test('refuse a cursor that is none', async () => {
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'])
      expect(await errorOf(method, { cursor: 'garbage' })).toMatchObject({ code: -32602 });
  });

  test('leave a row each, with what there was and what was seen', async () => {
    const before = rows('listTools').length;
    await resultOf('tools/list', {}, { principal: guest });
    expect(rows('listTools').slice(before)).toMatchObject([{ person: 'guest', toolset: 'all', facts: { offered: 2, listed: 1 } }]);
  });

  test('do not show what its caller could never use, though it may be seen', async () => {
    expect(each(await resultOf('tools/list', {}, { principal: guest }), 'tools', 'name')).toEqual(['one__look']);
    expect(each(await resultOf('resources/list', {}, { principal: guest }), 'resources', 'uri')).not.toContain('two://own');
    expect(each(await resultOf('resources/list'), 'resources', 'uri')).toContain('two://own');
  });

  test('of two callers are never the same', async () => {
    const other: Principal = { ...guest, id: 'other', groups: [] };
    expect(each(await resultOf('tools/list', {}, { principal: other }), 'tools', 'name')).toEqual([]);
    expect(each(await resultOf('tools/list', {}, { principal: guest }), 'tools', 'name')).toEqual(['one__look']);
  });
});

describe('resources of several servers', () => {
  test('keep their URIs; where two have the same, the first keeps it and the other one has its own', async () => {
    const result = await resultOf('resources/list');
    expect((result.resources as JsonObject[]).map(({ uri, name }) => [uri, name])).toEqual([
      ['mcp+two+shared://x', 'of two'],
      ['note:///1', 'first'],
      ['shared://x', 'of one'],
      ['two://own', 'own'],
    ]);
    expect(each(await resultOf('resources/templates/list'), 'resourceTemplates', 'uriTemplate')).toEqual([
      'mcp+two+note:///{id}',
      'note:///{id}',
    ]);
  });

  test.each([
    ['shared://x', 'one', 'shared://x'],
    ['mcp+two+shared://x', 'two', 'shared://x'],
    ['two://own', 'two', 'two://own'],
    ['note:///7', 'one', 'note:///7'],
    ['mcp+two+note:///7', 'two', 'note:///7'],
  ])('%s is read at %s', async (uri, server, own) => {
    const result = await resultOf('resources/read', { uri });
    expect(result).toEqual({ contents: [{ uri, text: `of ${own}` }], ttlMs: 0, cacheScope: 'private' });
    expect(fixture.asked.at(-1)).toMatchObject({ server, request: { method: 'resources/read', params: { uri: own }, name: own } });
    expect(rows('readResource').at(-1)).toMatchObject({ kind: 'call', outcome: 'ok', server, resource: `Resource/${own}`, toolset: 'all' });
  });

  test('are hidden and unknown where the toolset leaves them out, whoever asks', async () => {
    const about = { path: '/mcp/notes' };
    expect(each(await resultOf('resources/list', {}, about), 'resources', 'uri')).toEqual(['note:///1']);
    for (const uri of ['shared://x', 'two://own', 'note:///private/1'])
      expect(await errorOf('resources/read', { uri }, about)).toMatchObject({ code: -32602, data: { code: 'resource_unknown', uri } });
    expect(await resultOf('resources/read', { uri: 'note:///2' }, about)).toMatchObject({ contents: [{ uri: 'note:///2' }] });
  });

  test.each([['x'.repeat(9000)], ['note:///\ud800'], [''], ['note']])('are not found under what is no URI', async (uri) => {
    expect(await errorOf('resources/read', { uri })).toMatchObject({ code: -32602 });
  });

  test('lead to the only server that has resources, also where it does not list them', async () => {
    expect(await resultOf('resources/read', { uri: 'unlisted://y' }, { path: '/mcp/single' })).toMatchObject({
      contents: [{ uri: 'unlisted://y' }],
    });
  });

  test.each([
    ['modern', -32602],
    ['legacy', -32002],
  ] as const)('that nobody has are not found, in the words of the %s era', async (era, code) => {
    for (const uri of ['nobody://has', 'note:///404'])
      expect(await errorOf('resources/read', { uri }, { era })).toMatchObject({ code, data: { uri } });
  });

  test('that are forbidden are as unknown as those that do not exist, and told apart in the audit', async () => {
    const forbidden = await errorOf('resources/read', { uri: 'two://own' }, { principal: guest });
    const row = rows('readResource').at(-1);
    const unknown = await errorOf('resources/read', { uri: 'two://odd' }, { principal: guest });
    const { decisionId, ...rest } = forbidden.data;
    const { decisionId: _other, ...otherRest } = unknown.data;
    expect({ ...rest, uri: '' }).toEqual({ ...otherRest, uri: '' });
    expect(forbidden.message.replace('two://own', 'two://odd')).toBe(unknown.message);
    expect(row).toMatchObject({ kind: 'refusal', errorCode: 'resource_unknown', policies: ['policyset/rules/not-own'], decisionId });
    expect(rows('readResource').at(-1)).toMatchObject({ kind: 'refusal', errorCode: 'resource_unknown', policies: [] });
  });

  test('that a template leads to are refused by the rule that forbids them', async () => {
    expect(await errorOf('resources/read', { uri: 'note:///secret' })).toMatchObject({
      code: -32010,
      message: expect.stringContaining('policyset/rules/no-secrets. Leave what is private alone.'),
      data: { code: 'argument_refused', rule: 'policyset/rules/no-secrets' },
    });
  });

  test.each(['note:///a/../b', 'note:///%2e%2e', 'note:///a%2fb', 'note:///a\\b'])('are not read in a disguise: %s', async (uri) => {
    const before = fixture.asked.length;
    expect(await errorOf('resources/read', { uri }, { path: '/mcp/single' })).toMatchObject({ data: expect.anything() });
    expect(fixture.asked.slice(before).filter(({ request }) => request.method === 'resources/read')).toEqual([]);
  });
});

describe('prompts', () => {
  test('are got under their own names, and links in them lead back', async () => {
    const result = await resultOf('prompts/get', { name: 'one__review', arguments: { path: '/ok/a' } });
    expect(result).toMatchObject({ messages: [{ content: { uri: 'shared://x' } }] });
    expect(fixture.asked.at(-1)).toMatchObject({ server: 'one', request: { params: { name: 'review', arguments: { path: '/ok/a' } } } });
    expect(rows('getPrompt').at(-1)).toMatchObject({ resource: 'Prompt/review', server: 'one', facts: { paths: ['/ok/a'] } });
  });

  test('are refused for their arguments by the rule that forbids them', async () => {
    expect(await errorOf('prompts/get', { name: 'one__review', arguments: { path: '/secret' } })).toMatchObject({
      code: -32010,
      data: { code: 'argument_refused', rule: 'policyset/rules/plain-prompts' },
    });
    expect(await errorOf('prompts/get', { name: 'one__review', arguments: { path: 3 } })).toMatchObject({ code: -32602 });
  });

  test('that do not exist, and those that a caller may not use, are equally unknown', async () => {
    const nobody: Principal = { ...guest, groups: [] };
    const [forbidden, unknown] = [
      await errorOf('prompts/get', { name: 'one__review' }, { principal: nobody }),
      await errorOf('prompts/get', { name: 'one__nothing' }, { principal: nobody }),
    ];
    expect(forbidden.code).toBe(-32602);
    expect(Object.keys(forbidden.data)).toEqual(Object.keys(unknown.data));
    expect(forbidden.message.replace('review', 'nothing')).toBe(unknown.message);
    const again = await errorOf('prompts/get', { name: 'one__review' }, { principal: nobody });
    expect(again.data.decisionId).not.toBe(forbidden.data.decisionId);
  });
});

describe('completion', () => {
  const argument = { name: 'path', value: '/' };
  test('reaches the server of the prompt or template under its own name, and gives at most a hundred values', async () => {
    const { completion } = await resultOf('completion/complete', { ref: { type: 'ref/prompt', name: 'one__review' }, argument });
    expect(completion).toMatchObject({ hasMore: true, total: 120 });
    expect((completion as { values: string[] }).values).toHaveLength(100);
    expect(fixture.asked.at(-1)?.request.params).toEqual({ ref: { type: 'ref/prompt', name: 'review' }, argument });
    await resultOf('completion/complete', { ref: { type: 'ref/resource', uri: 'note:///{id}' }, argument });
    expect(fixture.asked.at(-1)?.request.params).toMatchObject({ ref: { uri: 'note:///{id}' } });
  });

  test('is judged by what its arguments name, as getting the prompt or reading the resource would be', async () => {
    const refusals: [JsonObject, JsonObject, string][] = [
      [{ type: 'ref/prompt', name: 'one__review' }, { argument: { name: 'path', value: '/secret' } }, 'policyset/rules/plain-prompts'],
      [{ type: 'ref/prompt', name: 'one__review' }, { argument: { name: 'path', value: '/ok/../x' } }, 'platform/canonical-arguments'],
      [
        { type: 'ref/prompt', name: 'one__review' },
        { argument: { name: 'topic', value: 'a' }, context: { arguments: { path: '/secret' } } },
        'policyset/rules/plain-prompts',
      ],
      [{ type: 'ref/resource', uri: 'note:///{id}' }, { argument: { name: 'id', value: 'secret' } }, 'policyset/rules/no-secrets'],
      [
        { type: 'ref/resource', uri: 'note:///{id}' },
        { argument: { name: 'x', value: 'a' }, context: { arguments: { id: 'secret' } } },
        'policyset/rules/no-secrets',
      ],
      [{ type: 'ref/resource', uri: 'note:///{id}' }, { argument: { name: 'id', value: '../x' } }, 'platform/canonical-arguments'],
      [{ type: 'ref/resource', uri: 'note:///1' }, { argument: { name: 'path', value: '//x' } }, 'platform/canonical-arguments'],
    ];
    for (const [ref, params, rule] of refusals) {
      const before = fixture.asked.length;
      const error = await errorOf('completion/complete', { ref, ...params });
      expect(error, JSON.stringify(params)).toMatchObject({ code: -32010, data: { code: 'argument_refused', rule } });
      expect(fixture.asked).toHaveLength(before);
      expect(rows('complete').at(-1)).toMatchObject({ kind: 'refusal', server: 'one', errorCode: 'argument_refused', policies: [rule] });
    }
    const frozen = { kind: 'Project', metadata: { name: 'default' }, spec: { frozen: true } };
    fixture.declare(frozen, ...documents);
    expect((await ask('completion/complete', { ref: { type: 'ref/prompt', name: 'one__review' }, argument })).kind).toBe('error');
    fixture.declare(...documents);
  });

  test('hands on what was judged and nothing else, and what is begun with nothing is judged as naming nothing', async () => {
    const ref = { type: 'ref/prompt', name: 'one__review', title: 'x' };
    await resultOf('completion/complete', {
      ref,
      argument: { name: 'path', value: '', more: '/secret' },
      context: { arguments: { path: '/secret', topic: 'mcp+one+note:///1' }, more: '/secret' },
    });
    expect(fixture.asked.at(-1)?.request.params).toEqual({
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'path', value: '' },
      context: { arguments: { topic: 'note:///1' } },
    });
    const wrong = { ref, argument, context: { arguments: { path: 3 } } };
    expect(await errorOf('completion/complete', wrong)).toMatchObject({ code: -32602 });
  });

  test('of what the toolset leaves out is empty', async () => {
    const ref = { type: 'ref/resource', uri: 'note:///{+id}' };
    fixture.servers.one?.templates?.push({ uriTemplate: 'note:///{+id}', name: 'deep' });
    fixture.declare(...documents);
    const before = fixture.asked.length;
    const asked = { ref, argument: { name: 'id', value: 'private/a' } };
    expect(await resultOf('completion/complete', asked, { path: '/mcp/notes' })).toMatchObject({ completion: { values: [] } });
    expect(fixture.asked).toHaveLength(before);
    fixture.servers.one?.templates?.pop();
    fixture.declare(...documents);
  });

  test('of a server that has none is empty', async () => {
    const ref = { type: 'ref/resource', uri: 'mcp+two+note:///{id}' };
    expect(await resultOf('completion/complete', { ref, argument })).toMatchObject({ completion: { values: [] } });
  });

  test('of what is not on the caller’s lists is unknown', async () => {
    const nobody: Principal = { ...guest, groups: [] };
    const before = fixture.asked.length;
    const errors: string[] = [];
    for (const ref of [
      { type: 'ref/prompt', name: 'one__review' },
      { type: 'ref/prompt', name: 'one__nothing' },
      { type: 'ref/resource', uri: 'note:///{id}' },
      { type: 'ref/resource', uri: 'none:///{id}' },
    ]) {
      const error = await errorOf('completion/complete', { ref, argument }, { principal: nobody });
      expect(error).toMatchObject({ code: -32602, data: { decisionId: expect.stringMatching(/^dec_/) } });
      errors.push(JSON.stringify({ ...error, data: { ...error.data, decisionId: '' } }));
    }
    // what is there and what is not answer alike, and no server was asked for a completion
    expect(errors[0]?.replaceAll('review', 'nothing')).toBe(errors[1]);
    expect(errors[2]?.replaceAll('note:', 'none:')).toBe(errors[3]);
    expect(fixture.asked.slice(before).filter(({ request }) => request.method === 'completion/complete')).toEqual([]);
    expect(await errorOf('completion/complete', { ref: { type: 'ref/tool' }, argument })).toMatchObject({ code: -32602 });
  });
});

describe('what an endpoint says of itself', () => {
  test('is what its servers can do, in the words of the era', () => {
    const { endpoint } = requestOf('', {}, { path: '/mcp/all' });
    expect(surface.describe(admin, endpoint, 'modern')).toMatchObject({
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { listChanged: true, subscribe: true },
        completions: {},
        extensions: { 'io.modelcontextprotocol/tasks': {} },
      },
      instructions: 'Look first.',
    });
    expect(surface.describe(admin, endpoint, 'legacy').capabilities).not.toHaveProperty('extensions');
  });

  test('tells what servers say of their use only to those who see something of them', () => {
    const { endpoint } = requestOf('', {}, { path: '/mcp/all' });
    expect(surface.describe({ ...guest, groups: [] }, endpoint, 'modern').instructions).toBeUndefined();
  });
});

describe('a server that does not answer', () => {
  test('takes nothing from the others: they are listed with a warning', async () => {
    fixture.setDown('two', true);
    const tools = await resultOf('tools/list');
    expect(each(tools, 'tools', 'name')).toEqual(['one__look']);
    expect(tools._meta).toEqual({ [warningsMeta]: [expect.objectContaining({ code: 'server_unavailable', server: 'two' })] });
    fixture.setDown('two', false);
    expect(each(await resultOf('tools/list'), 'tools', 'name')).toEqual(['one__look', 'two__act']);
  });

  test('fails the lists of a toolset that shows all or nothing', async () => {
    fixture.setDown('two', true);
    expect(await errorOf('tools/list', {}, { path: '/mcp/closed' })).toMatchObject({
      data: { code: 'server_unavailable', retryable: true },
    });
    fixture.setDown('two', false);
  });
});
