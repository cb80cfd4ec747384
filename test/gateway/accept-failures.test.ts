import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { SseReader } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, type RawAnswer, type RawMcpServer, startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { connectLegacyPeer, connectModernPeer, type Peer } from '../support/sdk-peers.ts';

type Json = Record<string, unknown>;
type Era = 'legacy' | 'modern';
const eras = ['legacy', 'modern'] as const;
const inputSchema = { type: 'object' };
const tools = [
  { name: 'look', inputSchema, annotations: { readOnlyHint: true } },
  { name: 'put', inputSchema, annotations: { readOnlyHint: false, idempotentHint: true } },
  { name: 'act', inputSchema, annotations: { readOnlyHint: false } },
  { name: 'hang', inputSchema, annotations: { readOnlyHint: true } },
  { name: 'chat', inputSchema, annotations: { readOnlyHint: true } },
  { name: 'fine', inputSchema, annotations: { readOnlyHint: true } },
];

/** What became of the calls that a server holds: the labels of those that it heard are taken back. */
const takenBack: Record<Era, string[]> = { legacy: [], modern: [] };
const held: Record<Era, { id: unknown; label: string }[]> = { legacy: [], modern: [] };
const timers = new Set<NodeJS.Timeout>();

const answerCall =
  (era: Era): RawAnswer =>
  ({ id, params }, { response }) => {
    const { name, arguments: args, _meta } = params as { name: string; arguments: Json; _meta?: { progressToken?: unknown } };
    const progress = (done: number) => ({
      method: 'notifications/progress',
      params: { progressToken: _meta?.progressToken, progress: done },
    });
    if (name === 'fine') return { result: { resultType: 'complete', content: [] } };
    if (name !== 'hang' && name !== 'chat') {
      writeEvents(response, progress(1), progress(2));
      setTimeout(() => response.destroy(), 50);
      return undefined;
    }
    held[era].push({ id, label: String(args.label) });
    if (era === 'modern') response.once('close', () => takenBack.modern.push(String(args.label)));
    if (name === 'chat') {
      let done = 0;
      const timer = setInterval(() => writeEvents(response, progress(done++)), 200);
      timers.add(timer);
    }
    return undefined;
  };

/** A server that breaks off, hangs, or never comes to an end. */
const startServer = async (era: Era): Promise<RawMcpServer> => {
  const server = await startRawMcpServer({
    ...(era === 'modern' ? { 'server/discover': () => discovered() } : {}),
    'tools/list': () => ({ result: { resultType: 'complete', tools, ttlMs: 0 } }),
    'tools/call': answerCall(era),
  });
  if (era === 'legacy') {
    const { push } = server.seen;
    server.seen.push = (...messages) => {
      for (const { method, params } of messages)
        if (method === 'notifications/cancelled')
          takenBack.legacy.push(held.legacy.findLast(({ id }) => id === params?.requestId)?.label ?? 'unknown');
      return push.apply(server.seen, messages);
    };
  }
  return server;
};

let gateway: RunningGateway;
const servers = {} as Record<Era, RawMcpServer>;
const trio = new Map<string, Awaited<ReturnType<typeof startCountingServer>>>();
const peers: Peer[] = [];

beforeAll(async () => {
  gateway = await startRunningGateway();
  for (const era of eras) servers[era] = await startServer(era);
  for (const name of ['one', 'two', 'three']) trio.set(name, await startCountingServer());
  await gateway.apply(
    ...eras.map((name) => ({
      kind: 'McpServer',
      metadata: { name },
      spec: { url: servers[name].url, timeoutSeconds: 1, totalTimeoutSeconds: 2 },
    })),
    ...[...trio].map(([name, { url }]) => ({ kind: 'McpServer', metadata: { name }, spec: { url, timeoutSeconds: 5 } })),
    { kind: 'Toolset', metadata: { name: 'eras' }, spec: { servers: eras.map((name) => ({ name })) } },
    { kind: 'Toolset', metadata: { name: 'trio' }, spec: { servers: [...trio.keys()].map((name) => ({ name, tools: ['look'] })) } },
  );
  for (const [toolset, count] of [
    ['eras', 12],
    ['trio', 3],
  ] as const) {
    await gateway.ready(toolset);
    await pollUntil(
      async () => (await gateway.ready(toolset)).split('"inputSchema"').length === count + 1 || undefined,
      `all of ${toolset}`,
    );
  }
});
afterAll(async () => {
  for (const timer of timers) clearInterval(timer);
  for (const peer of peers) await peer.close().catch(() => undefined);
  await gateway.close();
  for (const server of [...Object.values(servers), ...trio.values()]) await server.close();
});

const url = () => `${gateway.publicUrl}/mcp/eras`;
const authorization = `Bearer ${adminToken}`;
const legacyHeaders = { authorization, 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const beginLegacy = async (): Promise<Record<string, string>> => {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bare', version: '1' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const answer = await fetch(url(), { method: 'POST', headers: legacyHeaders, body });
  return { ...legacyHeaders, 'mcp-session-id': answer.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' };
};
const post = (headers: Record<string, string>, message: Json): Promise<Response> =>
  fetch(url(), { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', ...message }) });
const callParams = (name: string, args: Json = {}): Json => ({ name, arguments: args, _meta: { progressToken: 'mine' } });

/** A call as a client of one era makes it. */
const callFrom = async (client: Era, name: string, args: Json = {}, signal?: AbortSignal): Promise<Response> => {
  if (client === 'legacy') return post(await beginLegacy(), { id: 1, method: 'tools/call', params: callParams(name, args) });
  const request = modernRequest('tools/call', { name, arguments: args }, { headers: { authorization }, meta: { progressToken: 'mine' } });
  return fetch(url(), { ...request, ...(signal ? { signal } : {}) });
};
type Message = { id?: unknown; method?: string; params?: Json; error?: { code: number; data: Json }; result?: Json };
/** All that a call is told, with when its end came. */
const allOf = async (answer: Response): Promise<{ messages: Message[]; endedAt: number }> => {
  if (answer.headers.get('content-type') === 'application/json')
    return { messages: [(await answer.json()) as Message], endedAt: performance.now() };
  const reader = new SseReader(answer);
  const messages: Message[] = [];
  for (let told = await reader.message(); told; told = await reader.message()) messages.push(told.message);
  return { messages, endedAt: performance.now() };
};

// five failures in a row would open a server's breaker
beforeEach(async () => {
  for (const era of eras) expect((await callFrom('modern', `${era}__fine`)).status).toBe(200);
});

describe('a server that resets the connection after two progress events', () => {
  test.each([
    ['look', 'legacy', 'modern', true],
    ['put', 'legacy', 'legacy', true],
    ['act', 'modern', 'legacy', false],
    ['look', 'modern', 'legacy', true],
    ['put', 'modern', 'modern', true],
    ['act', 'legacy', 'modern', false],
  ] as const)(
    'ends %s of a %s server once for a %s client, within a second, and it is not made again',
    async (tool, server, client, retryable) => {
      const before = servers[server].countOf('tools/call');
      const startedAt = performance.now();
      const { messages, endedAt } = await allOf(await callFrom(client, `${server}__${tool}`));
      expect(endedAt - startedAt).toBeLessThan(1000);
      expect(messages.slice(0, -1).map(({ method, params }) => [method, params?.progress])).toEqual([
        ['notifications/progress', 1],
        ['notifications/progress', 2],
      ]);
      expect(messages.filter(({ id }) => id !== undefined)).toHaveLength(1);
      expect(messages.at(-1)?.error).toMatchObject({ code: -32010, data: { retryable } });
      expect(servers[server].countOf('tools/call') - before).toBe(1);
      await gateway.auditRow((row) => row.tool === tool && row.server === server && row.outcome === 'unknown');
    },
  );
});

describe('a server that hangs', () => {
  test.each(eras)(
    'loses the call at the idle deadline when it is silent, at the absolute one when it goes on and on (%s server)',
    async (server) => {
      const silentAt = performance.now();
      const silent = await allOf(await callFrom('modern', `${server}__hang`, { label: 'silent' }));
      expect(silent.endedAt - silentAt).toBeGreaterThan(900);
      expect(silent.endedAt - silentAt).toBeLessThan(2500);
      const chattyAt = performance.now();
      const chatty = await allOf(await callFrom('modern', `${server}__chat`, { label: 'chatty' }));
      expect(chatty.endedAt - chattyAt).toBeGreaterThan(1800);
      expect(chatty.endedAt - chattyAt).toBeLessThan(3500);
      expect(chatty.messages.length).toBeGreaterThan(5);
      for (const { messages } of [silent, chatty])
        expect(messages.at(-1)?.error?.data).toMatchObject({ code: 'server_unavailable', reason: 'deadline' });
      await pollUntil(
        () => ['silent', 'chatty'].every((label) => takenBack[server].includes(label)) || undefined,
        'both to be taken back',
        1000,
      );
    },
  );
});

describe('a call that its client gives up', () => {
  test.each([
    ['modern', 'legacy'],
    ['modern', 'modern'],
    ['legacy', 'legacy'],
    ['legacy', 'modern'],
  ] as const)('of a %s client is taken back at its own %s server within a second, and nowhere else', async (client, owner) => {
    const label = `${client} to ${owner}`;
    const other = owner === 'legacy' ? 'modern' : 'legacy';
    const leaving = new AbortController();
    const headers = client === 'legacy' ? await beginLegacy() : {};
    const call = (id: number, server: Era, of: string): Promise<unknown> => {
      const made =
        client === 'legacy'
          ? post(headers, { id, method: 'tools/call', params: callParams(`${server}__chat`, { label: of }) })
          : callFrom('modern', `${server}__chat`, { label: of }, id === 1 ? leaving.signal : undefined);
      return made.then((answer) => answer.text()).catch(() => 'left');
    };
    const calls = [call(1, owner, label), call(2, other, `beside ${label}`), call(3, owner, `also ${label}`)];
    const isHeld = (server: Era, of: string): boolean => held[server].some(({ label: seen }) => seen === of);
    await pollUntil(
      () => (isHeld(owner, label) && isHeld(other, `beside ${label}`) && isHeld(owner, `also ${label}`)) || undefined,
      'the calls',
    );
    const leftAt = performance.now();
    if (client === 'legacy') await post(headers, { method: 'notifications/cancelled', params: { requestId: 1 } });
    else leaving.abort();
    await pollUntil(() => takenBack[owner].includes(label) || undefined, 'the server to hear of it');
    expect(performance.now() - leftAt).toBeLessThan(1000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(takenBack[other]).not.toContain(`beside ${label}`);
    expect(takenBack[owner]).not.toContain(`also ${label}`);
    await Promise.all(calls);
  });
});

describe('one of three servers is down', () => {
  test('two serve, the breaker opens and closes again, and connected clients of both eras are told each time', async () => {
    const open = async (connect: typeof connectModernPeer): Promise<Peer> => {
      const peer = await connect(`${gateway.publicUrl}/mcp/trio`, adminToken);
      peers.push(peer);
      return peer;
    };
    const [legacy, modern] = [await open(connectLegacyPeer), await open(connectModernPeer)];
    // the longer it was away, the longer a server is left alone: up to half a minute
    const told = (what: string) =>
      pollUntil(() => [legacy, modern].every((peer) => peer.changedLists.includes('tools')) || undefined, what, 45_000);
    const all = ['one__look', 'three__look', 'two__look'];
    for (const peer of [legacy, modern]) expect(await peer.listTools()).toEqual(all);
    const three = trio.get('three');
    await three?.close();
    const reason = (peer: Peer): Promise<string> =>
      peer.callTool('three__look').then(
        () => '',
        (error: Error) => error.message,
      );
    // open: it is not even tried
    await pollUntil(async () => (await reason(legacy)).includes('did not answer lately') || undefined, 'the breaker to open');
    await told('the clients to be told');
    for (const peer of [legacy, modern]) {
      expect(await peer.listTools()).toEqual(['one__look', 'two__look']);
      for (const name of ['one', 'two']) expect((await peer.callTool(`${name}__look`)).isError).toBeFalsy();
      peer.changedLists.length = 0;
    }
    trio.set('three', await startCountingServer(three?.port));
    await told('the clients to be told that it is back');
    for (const peer of [legacy, modern]) {
      expect(await peer.listTools()).toEqual(all);
      expect((await peer.callTool('three__look')).isError).toBeFalsy();
    }
  }, 120_000);
});
