import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createListResources } from '../../gateway/surface/list-resources.ts';
import { createLiveResources } from '../../gateway/surface/live-resources.ts';
import { createPager } from '../../gateway/surface/page-list.ts';
import { createResourceDirectory } from '../../gateway/surface/resource-directory.ts';
import type { ListKind } from '../../gateway/surface/surface.ts';
import { viewOf } from '../../gateway/surface/view.ts';
import { createListWatch } from '../../gateway/surface/watch-lists.ts';
import { onTime } from '../support/on-time.ts';
import { pollUntil } from '../support/poll-until.ts';
import { admin, createSurfaceFixture, endpointOf, guest, type PretendServer, requestOf } from '../support/surface-fixture.ts';

const inputSchema = { type: 'object' };
const toolset = { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'one' }, { name: 'two' }] } };
const binding = { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['all'] } };

const setUp = (options: Partial<Parameters<typeof createLiveResources>[0]> = {}) => {
  const servers: Record<string, PretendServer> = {
    one: { tools: [{ name: 'look', inputSchema }], prompts: [{ name: 'review' }], resources: [{ uri: 'one://a', name: 'a' }] },
    two: { tools: [{ name: 'act', inputSchema }], resources: [{ uri: 'two://b', name: 'b' }] },
  };
  const fixture = createSurfaceFixture(servers, toolset, binding);
  const { context, pool } = fixture;
  const live = createLiveResources({ context, pool, ...options });
  const directory = createResourceDirectory({ context, pool, live });
  const watch = createListWatch({ context, pool, live });
  const list = createListResources({ context, directory, pageOf: createPager(Buffer.alloc(32, 1)) });
  return { ...fixture, servers, live, directory, watch, list };
};
const endpoint = endpointOf('/mcp/all');

describe('who watches the lists of an endpoint', () => {
  const watched = (fixture: ReturnType<typeof setUp>, principal = admin) => {
    const heard: ListKind[] = [];
    const stop = fixture.watch.watch(principal, endpoint, (kind) => heard.push(kind));
    return { heard, stop };
  };

  test('hears of a definition that is new, changed or gone, and of no other list', () => {
    const fixture = setUp();
    viewOf(fixture.context, admin, endpoint).list('tool');
    const { heard } = watched(fixture);
    fixture.servers.one?.tools?.push({ name: 'new', inputSchema });
    fixture.declare(toolset, binding);
    expect(heard).toEqual(['tools']);
    fixture.servers.one?.prompts?.pop();
    fixture.declare(toolset, binding);
    expect(heard).toEqual(['tools', 'prompts']);
  });

  test('hears nothing where nothing has changed, and nothing any more when it has stopped', () => {
    const fixture = setUp();
    const { heard, stop } = watched(fixture);
    fixture.declare(toolset, binding);
    expect(heard).toEqual([]);
    stop();
    fixture.servers.one?.tools?.push({ name: 'new', inputSchema });
    fixture.declare(toolset, binding);
    expect(heard).toEqual([]);
  });

  test('hears of policies that take something off its list, and not of those that do not', () => {
    const fixture = setUp();
    const [ofGuest, ofAdmin] = [watched(fixture, guest), watched(fixture)];
    for (const principal of [guest, admin])
      for (const kind of ['tool', 'prompt'] as const) viewOf(fixture.context, principal, endpoint).list(kind);
    const cedar = 'forbid (principal in Quarterdeck::Group::"default/guests", action == Quarterdeck::Action::"callTool", resource);';
    fixture.declare(toolset, binding, { kind: 'PolicySet', metadata: { name: 'p' }, spec: { cedar } });
    expect(ofGuest.heard).toEqual(['tools', 'resources']);
    expect(ofAdmin.heard).toEqual(['resources']);
    expect(viewOf(fixture.context, guest, endpoint).list('tool')).toEqual([]);
  });

  test('hears that a server went, and that it came back', () => {
    const fixture = setUp();
    const { heard } = watched(fixture);
    fixture.setDown('one', true);
    expect(heard).toEqual(['tools', 'prompts', 'resources']);
    fixture.setDown('one', true);
    expect(heard).toHaveLength(3);
    fixture.setDown('one', false);
    expect(heard).toHaveLength(6);
  });

  test('hears what a server says of its resources, and finds the new list at once', async () => {
    const fixture = setUp({ freshMs: 60_000 });
    const { heard, stop } = watched(fixture);
    const uris = async () => {
      const reply = await fixture.list(requestOf('resources/list'));
      return reply.kind === 'result' && (reply.result.resources as { uri: string }[]).map(({ uri }) => uri);
    };
    expect(await uris()).toEqual(['one://a', 'two://b']);
    fixture.servers.two?.resources?.push({ uri: 'two://c', name: 'c' });
    expect(await uris()).toEqual(['one://a', 'two://b']);
    fixture.ears.get('two')?.({ method: 'notifications/resources/list_changed' });
    expect(heard).toEqual(['resources']);
    expect(await uris()).toEqual(['one://a', 'two://b', 'two://c']);
    stop();
    expect(fixture.ears.size).toBe(0);
  });

  test('shares one stream to each server with all others, and ten thousand are told without holding anybody up', async () => {
    const fixture = setUp();
    let told = 0;
    const stops = Array.from({ length: 10_000 }, (_, index) =>
      fixture.watch.watch({ ...guest, id: `g${index}` }, endpoint, () => {
        told += 1;
      }),
    );
    expect(fixture.ears.size).toBe(2);
    fixture.servers.one?.tools?.push({ name: 'new', inputSchema });
    const began = performance.now();
    fixture.declare(toolset, binding);
    expect(performance.now() - began).toBeLessThan(1000);
    expect(told).toBeLessThan(10_000);
    await pollUntil(async () => told === 10_000, 'all to be told');
    for (const stop of stops) stop();
    expect(fixture.ears.size).toBe(0);
  });
});

describe('resources of servers', () => {
  test('that hang are left out when the deadline has passed, with a warning, and the others are there', async () => {
    const fixture = setUp({ timeoutMs: 100 });
    Object.assign(fixture.servers.one ?? {}, { hangs: true });
    const began = performance.now();
    const reply = await fixture.list(requestOf('resources/list'));
    expect(performance.now() - began).toBeLessThan(1000);
    expect(reply).toMatchObject({
      result: { resources: [{ uri: 'two://b' }], _meta: { 'quarterdeck.dev/warnings': [{ code: 'server_unavailable', server: 'one' }] } },
    });
  });

  test('are asked once for all who list at the same time, and not again for a moment', async () => {
    const fixture = setUp();
    await Promise.all([1, 2, 3].map(() => fixture.list(requestOf('resources/list'))));
    await fixture.list(requestOf('resources/list'));
    expect(fixture.asked.map(({ server }) => server)).toEqual(['one', 'two']);
  });

  test('with sessions are asked for each session, and without sessions once for all', async () => {
    const fixture = setUp();
    Object.assign(fixture.servers.two ?? {}, { era: 'modern' });
    await fixture.list(requestOf('resources/list'));
    await fixture.list(requestOf('resources/list', {}, { principal: guest }));
    expect(fixture.asked.map(({ server }) => server).sort()).toEqual(['one', 'one', 'two']);
  });

  test('of a server that stopped answering keep their URIs: nobody else gets them meanwhile', async () => {
    const fixture = setUp({ freshMs: 0, timeoutMs: 50 });
    fixture.servers.two?.resources?.push({ uri: 'one://a', name: 'the same' });
    const request = requestOf('resources/read');
    await fixture.directory.list(request);
    Object.assign(fixture.servers.one ?? {}, { hangs: true });
    expect(await fixture.directory.locate(request, 'one://a')).toMatchObject({ source: { server: { metadata: { name: 'one' } } } });
    await delay(5);
    expect((await fixture.directory.list(request)).resources.map(({ exposed }) => exposed)).toEqual(['two://b', 'mcp+two+one://a']);
  });

  test('of a server of ours are waited for until it has started, and of one at a URL no longer than for its list', async () => {
    const { context, pool } = setUp();
    const [atUrl] = context.declared().list('McpServer');
    if (!atUrl) throw new Error('there is no server');
    const ours = { ...atUrl, uid: 'ours', spec: { command: ['node'], instance: 'session', volumes: [] } } as unknown as typeof atUrl;
    const slow = { ...pool, connect: async (...given: Parameters<typeof pool.connect>) => delay(150).then(() => pool.connect(...given)) };
    const live = createLiveResources({ context, pool: slow, timeoutMs: 50, startTimeoutMs: 5000 });
    const request = requestOf('resources/list');
    expect(await live.of(ours, request)).toMatchObject({ ok: true, list: { resources: [{ uri: 'one://a' }] } });
    expect(await live.of(atUrl, request)).toMatchObject({ ok: false });
  });

  test('in a frozen project are listed, and reading them names the rule', async () => {
    const fixture = setUp();
    fixture.declare(toolset, binding, { kind: 'Project', metadata: { name: 'default' }, spec: { frozen: true } });
    const request = requestOf('resources/list', {}, { principal: guest });
    expect((await fixture.directory.list(request)).resources).toHaveLength(2);
    expect(viewOf(fixture.context, guest, endpoint).list('tool')).toHaveLength(2);
    expect(await fixture.directory.locate(request, 'one://a')).toMatchObject({
      decision: { policies: ['platform/frozen-project-resource'] },
    });
  });

  test('by the thousand are decided in portions, and the decisions are kept as long as the list is the same', async () => {
    const fixture = setUp({ freshMs: 0 });
    Object.assign(fixture.servers.one ?? {}, {
      resources: Array.from({ length: 3000 }, (_, index) => ({ uri: `one://${index}`, name: `${index}` })),
    });
    let turns = 0;
    let isDone = false;
    const listing = fixture.directory.list(requestOf('resources/list')).finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await setImmediate();
      turns += 1;
    }
    expect((await listing).resources).toHaveLength(3001);
    expect(turns).toBeGreaterThan(20);
    await onTime(200, async () => {
      const began = performance.now();
      await fixture.directory.list(requestOf('resources/list'));
      return performance.now() - began;
    });
  });
});
