import { describe, expect, test } from 'vitest';
import { orErrorReply } from '../../gateway/exchange/error-reply.ts';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { JsonObject } from '../../gateway/mcp/message.ts';
import { behindSearch } from '../../gateway/surface/behind-search.ts';
import { createItemLists } from '../../gateway/surface/list-items.ts';
import { createLiveResources } from '../../gateway/surface/live-resources.ts';
import { createPager } from '../../gateway/surface/page-list.ts';
import type { ListKind } from '../../gateway/surface/surface.ts';
import { createToolIndex } from '../../gateway/surface/tool-index.ts';
import { toolsetState } from '../../gateway/surface/toolset-condition.ts';
import { tableOfToolset } from '../../gateway/surface/toolset-table.ts';
import { viewOf } from '../../gateway/surface/view.ts';
import { createListWatch } from '../../gateway/surface/watch-lists.ts';
import { readInnerCall } from '../../gateway/tool-call/inner-call.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { admin, createSurfaceFixture, endpointOf, guest, requestOf } from '../support/surface-fixture.ts';

const string = { type: 'string' };
const tool = (name: string, description: string, properties: JsonObject = {}) => ({
  name,
  description,
  inputSchema: { type: 'object', properties },
});
const tools = [
  tool('createIssue', 'Opens a new ticket', { repository: { ...string, description: 'Owner and name' } }),
  tool('list_issues', 'Tickets of a project, newest first'),
  tool('delete-branch', 'Removes a branch for good', { branch: string, options: { type: 'object', properties: { force: string } } }),
  tool('weather', 'What the sky does', { city: { ...string, description: 'Town in Iceland' } }),
  tool('find_tool', 'Another one of this name'),
];
const searching = { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'one' }], naming: 'plain', expose: 'search' } };
const listing = { kind: 'Toolset', metadata: { name: 'small' }, spec: { servers: [{ name: 'two' }], naming: 'plain' } };
const binding = { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['small'] } };

const setUp = () => {
  const servers = { one: { tools: [...tools] }, two: { tools: [tool('look', 'Looks')] } };
  const fixture = createSurfaceFixture(servers, searching, listing, binding);
  const { context, pool } = fixture;
  /** What went on to where tools are called. */
  const handedOn: ClientRequest[] = [];
  const lists = createItemLists({ context, pool, pageOf: createPager(Buffer.alloc(32, 1)) })('tool');
  const call = behindSearch({ context, pool }, (request) => {
    handedOn.push(request);
    return { kind: 'result', result: {} };
  });
  const result = async (...asked: Parameters<typeof requestOf>): Promise<JsonObject> => {
    const request = requestOf(...asked);
    const reply = await orErrorReply(context.logger, () => (request.method === 'tools/list' ? lists : call)(request));
    return reply.kind === 'result' ? reply.result : { error: reply.error };
  };
  const list = async (options: Parameters<typeof requestOf>[2] = {}): Promise<string[]> =>
    ((await result('tools/list', {}, options)).tools as { name: string }[]).map(({ name }) => name);
  const find = (query: string, options: Parameters<typeof requestOf>[2] = {}, name = 'find_tool') =>
    result('tools/call', { name, arguments: { query } }, options);
  return { ...fixture, servers, handedOn, result, list, find };
};
const namesIn = ({ structuredContent }: JsonObject): string[] =>
  (structuredContent as { tools: { name: string }[] }).tools.map(({ name }) => name);

describe('an index of tools', () => {
  const search = async (query: string): Promise<string[]> => {
    const items = tools.map((shown) => ({ name: shown.name, shown }));
    return (await createToolIndex(items))(query).map((place) => items[place]?.name ?? '');
  };
  test.each([
    ['create an issue', 'createIssue', 'a name in camel case is its words'],
    ['CreateIssue', 'createIssue', 'so is one in a query'],
    ['list issue', 'list_issues', 'one for many'],
    ['branch delete', 'delete-branch', 'words in any order'],
    ['ticket', 'createIssue', 'the description counts'],
    ['delte brnach', 'delete-branch', 'slips of the pen'],
    ['iceland', 'weather', 'the description of a parameter counts'],
    ['force', 'delete-branch', 'so does a parameter inside another'],
  ])('finds by “%s” %s: %s', async (query, name) => {
    expect(await search(query)).toContain(name);
  });

  test('has the name before the description, and the tool that has all words before those that have some', async () => {
    expect((await search('delete branch'))[0]).toBe('delete-branch');
    expect((await search('list issues'))[0]).toBe('list_issues');
  });

  test('takes a long query for its first words, and finds nothing where nothing fits', async () => {
    expect(await search('zzzz '.repeat(500))).toEqual([]);
    expect(await search('?! …')).toEqual([]);
  });
});

describe('reading what call_tool is to call', () => {
  test('takes a name at the top, or else one in the arguments, and never both', () => {
    expect(readInnerCall({ name: 'a', arguments: { name: 'b', x: 1 } })).toEqual({ ok: true, name: 'a', arguments: { name: 'b', x: 1 } });
    expect(readInnerCall({ name: 'a' })).toEqual({ ok: true, name: 'a', arguments: {} });
    expect(readInnerCall({ arguments: { name: 'b', x: 1 } })).toEqual({ ok: true, name: 'b', arguments: { x: 1 } });
    expect(readInnerCall({ arguments: { name: 'b', arguments: { name: 'c' } } })).toEqual({
      ok: true,
      name: 'b',
      arguments: { name: 'c' },
    });
    expect(readInnerCall({ arguments: { name: 'b', arguments: 'text' } })).toEqual({
      ok: true,
      name: 'b',
      arguments: { arguments: 'text' },
    });
    expect(readInnerCall({ name: null, arguments: { name: 'b' } })).toMatchObject({ ok: false });
    expect(readInnerCall([])).toMatchObject({ ok: false });
  });
});

describe('an endpoint of a toolset that exposes search', () => {
  test('lists its two tools to whoever may use one behind them, and nothing to others, whose calls of them go on as those of any unknown name', async () => {
    const { list, find, result, handedOn } = setUp();
    expect(await list()).toEqual(['call_tool', 'find_tool']);
    expect(await list({ principal: guest })).toEqual([]);
    await find('issue', { principal: guest });
    await result('tools/call', { name: 'call_tool', arguments: { name: 'weather' } }, { principal: guest });
    expect(handedOn.map(({ params }) => params.name)).toEqual(['find_tool', 'call_tool']);
  });

  test('answers in the form of each era, with the definition as the toolset shows it', async () => {
    const fixture = setUp();
    const spec = { ...searching.spec, servers: [{ name: 'one', describe: { weather: 'Rain or sun' }, fix: { weather: { city: 'Vik' } } }] };
    fixture.declare({ ...searching, spec }, listing, binding);
    for (const era of ['modern', 'legacy'] as const) {
      const { structuredContent } = await fixture.find('rain', { era });
      expect(structuredContent).toEqual({
        tools: [{ name: 'weather', description: 'Rain or sun', inputSchema: { type: 'object', properties: {} } }],
      });
    }
    expect(namesIn(await fixture.find('iceland'))).toEqual([]);
  });

  test('leaves out what belongs to a server that does not answer, and says so; a toolset that is all or nothing refuses', async () => {
    const fixture = setUp();
    fixture.setDown('one', true);
    expect(await fixture.list()).toEqual(['call_tool', 'find_tool']);
    const answer = await fixture.find('issue');
    expect(namesIn(answer)).toEqual([]);
    expect(answer._meta).toMatchObject({ 'quarterdeck.dev/warnings': [{ code: 'server_unavailable', server: 'one' }] });
    fixture.declare({ ...searching, spec: { ...searching.spec, whenServerFails: 'closed' } }, listing, binding);
    expect(await fixture.find('issue')).toMatchObject({ error: { data: { code: 'server_unavailable' } } });
  });

  test('keeps its two names: a server’s tool of such a name is left out, and the condition says so', () => {
    const { context } = setUp();
    const state = toolsetState(tableOfToolset(context.declared(), defaultTenancy, 'all'), []);
    expect(state.message).toBe(
      "4 tools behind find_tool and call_tool; tool find_tool of one is left out: `find_tool` is the toolset's own where it exposes `search`; `rename` the server's",
    );
  });

  test('a toolset that exposes all calls a server’s tool of such a name', async () => {
    const fixture = setUp();
    fixture.declare({ ...searching, spec: { ...searching.spec, expose: 'all' } });
    expect(await fixture.list()).toContain('find_tool');
    expect(viewOf(fixture.context, admin, endpointOf('/mcp/all')).find('tool', 'find_tool').item?.pinned.name).toBe('find_tool');
  });

  test('at /mcp its two stand among the tools of other toolsets, and find and call by the names of that place', async () => {
    const { list, find, result, handedOn } = setUp();
    const everything = { path: '/mcp' };
    expect(await list(everything)).toEqual(['default__all__call_tool', 'default__all__find_tool', 'default__small__look']);
    expect(await list({ ...everything, principal: guest })).toEqual(['default__small__look']);
    expect(namesIn(await find('weather', everything, 'default__all__find_tool'))).toEqual(['default__all__weather']);
    expect(namesIn(await find('look', everything, 'default__all__find_tool')), 'of its own toolset alone').toEqual([]);
    const call = { name: 'default__all__call_tool', arguments: { name: 'default__all__weather', arguments: { city: 'Vik' } } };
    await result('tools/call', call, everything);
    expect(handedOn.at(-1)?.params).toEqual({ name: 'default__all__weather', arguments: { city: 'Vik' } });
  });

  test('says that its list has changed when its two come or go, and not for what is found by them', () => {
    const fixture = setUp();
    const { context, pool, servers, declare, setDown } = fixture;
    const watch = createListWatch({ context, pool, live: createLiveResources({ context, pool }) });
    const heard: ListKind[] = [];
    watch.watch(admin, endpointOf('/mcp/all'), (kind) => heard.push(kind));
    servers.one.tools.push(tool('new', 'One more'));
    declare(searching, listing, binding);
    setDown('one', true);
    setDown('one', false);
    expect(heard.filter((kind) => kind === 'tools')).toEqual([]);
    declare({ ...searching, spec: { ...searching.spec, expose: 'all' } }, listing, binding);
    declare(searching, listing, binding);
    expect(heard.filter((kind) => kind === 'tools')).toEqual(['tools', 'tools']);
    watch.close();
  });
});
