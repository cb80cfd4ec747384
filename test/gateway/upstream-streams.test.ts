import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { Notification, Question, Reply } from '../../gateway/mcp/message.ts';
import { pollUntil } from '../support/poll-until.ts';
import { discovered, type RawAnswer, startRawMcpServer, writeEvents } from '../support/raw-mcp-server.ts';
import { anyone, callerNamed, callText, startUpstreamHarness, toolCall, type UpstreamHarness } from '../support/upstream-harness.ts';

let harness: UpstreamHarness;
const closes: (() => unknown)[] = [];
beforeAll(async () => {
  harness = await startUpstreamHarness();
});
afterAll(async () => {
  await harness.close();
  for (const close of closes) await close();
});

const cancelled: unknown[] = [];

/** A server on the v1 SDK whose tools speak outside the streams of their calls, as many do. */
const makeServer = (): Server => {
  const server = new Server(
    { name: 'outspoken', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } } },
  );
  const inputSchema = { type: 'object' as const };
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: ['echo', 'ask', 'log', 'hold', 'update'].map((name) => ({ name, inputSchema })),
  }));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal }) => {
    const say = (text: string) => ({ content: [{ type: 'text', text }] });
    if (params.name === 'ask') {
      const answer = await server.elicitInput({ message: 'Sure?', requestedSchema: { type: 'object', properties: {} } });
      return say(answer.action);
    }
    if (params.name === 'log') await server.sendLoggingMessage({ level: 'info', data: 'outside' });
    if (params.name === 'update') await server.sendResourceUpdated({ uri: 'test://one' });
    if (params.name === 'hold') {
      await once(signal, 'abort');
      cancelled.push(params.arguments?.label);
    }
    return say(JSON.stringify(params.arguments ?? {}));
  });
  return server;
};

const listen = async (handle: Parameters<typeof createServer>[1]): Promise<string> => {
  const http = createServer(handle).listen(0, '127.0.0.1');
  await once(http, 'listening');
  closes.push(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
};

/** HTTP+SSE, as of 2024-11-05. */
const startOldServer = async () => {
  const sessions = new Map<string, SSEServerTransport>();
  const streams = new Set<ServerResponse>();
  const url = await listen(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
    if (request.method === 'GET' && pathname === '/sse') {
      const transport = new SSEServerTransport('/messages', response);
      sessions.set(transport.sessionId, transport);
      streams.add(response);
      response.once('close', () => sessions.delete(transport.sessionId) && streams.delete(response));
      await makeServer().connect(transport as Transport);
      return;
    }
    const session = sessions.get(searchParams.get('sessionId') ?? '');
    if (request.method === 'POST' && session) return session.handlePostMessage(request, response);
    response.writeHead(404).end();
  });
  return { url: `${url}/sse`, sessions, streams };
};

const startStreamableServer = async (): Promise<string> => {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const url = await listen(async (request, response) => {
    const known = transports.get(String(request.headers['mcp-session-id']));
    if (known) return known.handleRequest(request, response);
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    await makeServer().connect(transport as Transport);
    await transport.handleRequest(request, response);
  });
  return `${url}/mcp`;
};

const decline = async (_question: Question): Promise<Reply> => ({ kind: 'result', result: { action: 'decline' } });

describe.each(['streamable HTTP', 'HTTP+SSE'] as const)('a server over %s that speaks outside the streams of its calls', (transport) => {
  const connect = async (...caller: Parameters<typeof callerNamed>) => {
    const url = transport === 'HTTP+SSE' ? (await startOldServer()).url : await startStreamableServer();
    const server = await harness.declare(transport === 'HTTP+SSE' ? 'old' : 'streamable', { url });
    const pool = harness.startPool();
    return { pool, server, connection: await pool.connect(server, callerNamed(...caller)) };
  };

  test('asks whoever calls, on the standing stream', async () => {
    const { connection } = await connect('asker', { elicitation: {} });
    expect(connection.era).toBe('legacy');
    expect(await callText(connection, 'ask', {}, { onAsk: decline })).toBe('decline');
  });

  test('logs to whoever calls and wants it', async () => {
    const { pool, server } = await connect('logger');
    const heard: Notification[] = [];
    const hear = (notification: Notification) => void heard.push(notification);
    // the answer to the call comes on another connection, and may come first
    const connection = await pool.connect(server, { ...callerNamed('logger'), logLevel: 'info', onStray: hear });
    await callText(connection, 'log', {}, { onNotification: hear });
    await pollUntil(() => heard.length > 0 || undefined, 'the message');
    expect(heard).toMatchObject([{ method: 'notifications/message', params: { data: 'outside' } }]);
  });

  test('hears that a call is taken back, and only that one', async () => {
    const { connection } = await connect('canceller');
    const stop = new AbortController();
    const label = `${transport} one`;
    const held = connection.request(toolCall('hold', { label }, { signal: stop.signal }));
    void connection.request(toolCall('hold', { label: 'another' }, { totalTimeoutMs: 3000 })).catch(() => undefined);
    setTimeout(() => stop.abort(), 200);
    await expect(held).rejects.toMatchObject({ reason: 'caller', wasSent: true });
    await pollUntil(() => cancelled.includes(label) || undefined, 'its end', 1000);
    expect(cancelled).not.toContain('another');
  });
});

describe('a server over HTTP+SSE', () => {
  test('whose stream breaks loses the calls under way, and is spoken to again by the next', async () => {
    const old = await startOldServer();
    const server = await harness.declare('breaks', { url: old.url, transport: 'sse' });
    const pool = harness.startPool();
    const connection = await pool.connect(server, anyone);
    const held = connection.request(toolCall('hold', { label: 'lost' }));
    setTimeout(() => {
      for (const stream of old.streams) stream.destroy();
    }, 200);
    await expect(held).rejects.toMatchObject({ wasSent: true, reason: 'connection' });
    expect(await callText(connection, 'echo', { a: 1 })).toBe('{"a":1}');
  });

  test('that would have its requests sent elsewhere is not spoken to', async () => {
    const thief = await startRawMcpServer();
    closes.push(thief.close);
    const url = await listen((request, response) => {
      if (request.method !== 'GET') return void response.writeHead(404).end();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      writeEvents(response, `event: endpoint\ndata: ${thief.url}\n\n`);
    });
    const server = await harness.declare('thief', { url, transport: 'sse' });
    await expect(harness.startPool().connect(server, anyone)).rejects.toMatchObject({ detail: expect.stringMatching(/another origin/) });
    expect(thief.seen).toHaveLength(0);
  });
});

test('a server that refuses what it can put to no session is greeted again, and the request is sent once more', async () => {
  let current = 'first';
  const raw = await startRawMcpServer({
    initialize: (_message, { response }) => {
      response.setHeader('mcp-session-id', current);
      return { result: { protocolVersion: '2025-03-26', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } } };
    },
    'tools/call': (_message, { request, response }) => {
      if (request.headers['mcp-session-id'] === current) return { result: { content: [{ type: 'text', text: current }] } };
      const error = { code: -32000, message: 'Bad Request: No valid session ID provided' };
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
      return undefined;
    },
  });
  closes.push(raw.close);
  const connection = await harness.startPool().connect(await harness.declare('strict', { url: raw.url }), anyone);
  expect(await callText(connection, 'act')).toBe('first');
  current = 'second';
  expect(await callText(connection, 'act')).toBe('second');
  expect(raw.countOf('tools/call')).toBe(3);
});

test('a legacy server keeps its subscriptions when it comes back, and loses each with its last listener', async () => {
  const port = await freePort();
  const subscriptions: string[] = [];
  const note: RawAnswer = ({ method, params }) => {
    subscriptions.push(`${method.slice('resources/'.length)} ${params?.uri}`);
    return { result: {} };
  };
  const answers: Record<string, RawAnswer> = {
    initialize: (_message, { response }) => {
      response.setHeader('mcp-session-id', randomUUID());
      const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } };
      return { result: { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'raw', version: '1' } } };
    },
    'resources/templates/list': () => ({ result: { resourceTemplates: [] } }),
    'resources/subscribe': note,
    'resources/unsubscribe': note,
  };
  const first = await startRawMcpServer(answers, { port });
  const pool = harness.startPool();
  const server = await harness.declare('returning', { url: first.url });
  const heard: string[] = [];
  const hear = ({ method }: Notification) => void heard.push(method);
  const [one, two] = [
    await pool.listen(server, undefined, { resources: ['test://one'] }, hear),
    await pool.listen(server, undefined, { resources: ['test://one'], lists: true }, hear),
  ];
  expect(subscriptions).toEqual(['subscribe test://one']);
  await first.close();
  const second = await startRawMcpServer(answers, { port });
  closes.push(second.close);
  await pollUntil(() => subscriptions.length === 2 || undefined, 'the subscription at the new one');
  await pollUntil(() => heard.includes('notifications/tools/list_changed') || undefined, 'that something may have been missed');
  await pollUntil(() => second.listeners.size > 0 || undefined, 'its stream');
  for (const stream of second.listeners) writeEvents(stream, { method: 'notifications/resources/updated', params: { uri: 'test://one' } });
  await pollUntil(
    () => heard.filter((method) => method === 'notifications/resources/updated').length === 2 || undefined,
    'an update for both',
  );
  one.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(subscriptions).toHaveLength(2);
  two.close();
  await pollUntil(() => subscriptions.includes('unsubscribe test://one') || undefined, 'the end of the subscription');
});

describe('a broken stream', () => {
  test('is taken up after as long as the server says, where it left off', async () => {
    let resumedAt = 0;
    let from: unknown;
    let call: unknown;
    const raw = await startRawMcpServer(
      {
        'tools/call': ({ id }, { response }) => {
          call = id;
          writeEvents(response, 'id: first\nretry: 300\ndata: \n\n');
          response.end();
          return undefined;
        },
      },
      {
        onGet: ({ request, response }) => {
          if (request.headers['last-event-id'] === undefined) return void response.writeHead(405).end();
          resumedAt = performance.now();
          from = request.headers['last-event-id'];
          writeEvents(response, { id: call, result: { content: [{ type: 'text', text: 'resumed' }] } });
          response.end();
        },
      },
    );
    closes.push(raw.close);
    const connection = await harness.startPool().connect(await harness.declare('resuming', { url: raw.url }), anyone);
    const before = performance.now();
    expect(await callText(connection, 'act')).toBe('resumed');
    expect(from).toBe('first');
    expect(resumedAt - before).toBeGreaterThan(290);
    expect(raw.countOf('tools/call')).toBe(1);
  });

  test('of changes is opened again, and who listens is told that something may have been missed', async () => {
    const subscriptions: ServerResponse[] = [];
    const raw = await startRawMcpServer({
      'server/discover': () => discovered({ capabilities: { tools: { listChanged: true }, resources: { subscribe: true } } }),
      'resources/templates/list': () => ({ result: { resourceTemplates: [] } }),
      'subscriptions/listen': ({ id, params }, { response }) => {
        subscriptions.push(response);
        const _meta = { 'io.modelcontextprotocol/subscriptionId': id };
        const { notifications } = params as { notifications: object };
        writeEvents(response, { method: 'notifications/subscriptions/acknowledged', params: { _meta, notifications } });
        return undefined;
      },
    });
    closes.push(raw.close);
    const pool = harness.startPool();
    const server = await harness.declare('listening', { url: raw.url });
    const heard: string[] = [];
    const hear = ({ method, params }: Notification) => void heard.push(`${method} ${params?.uri ?? ''}`.trim());
    const lists = await pool.listen(server, undefined, { lists: true }, hear);
    const one = await pool.listen(server, undefined, { resources: ['test://one'] }, hear);
    expect([lists.accepted, one.accepted]).toEqual([{ lists: true }, { resources: ['test://one'] }]);
    // a stream with the union has taken the place of the first
    await pollUntil(() => (subscriptions[0]?.destroyed && subscriptions.length === 2) || undefined, 'one stream');
    const updated = (uri: string) => ({ method: 'notifications/resources/updated', params: { uri } });
    writeEvents(subscriptions[1] as ServerResponse, updated('test://one'), updated('test://two'), updated('test://one/part'));
    await pollUntil(() => heard.length >= 2 || undefined, 'updates');
    expect(heard).toEqual(['notifications/resources/updated test://one', 'notifications/resources/updated test://one/part']);
    heard.length = 0;
    subscriptions[1]?.destroy();
    await pollUntil(() => heard.includes('notifications/tools/list_changed') || undefined, 'the return');
    expect(subscriptions).toHaveLength(3);
    lists.close();
    one.close();
  });
});
