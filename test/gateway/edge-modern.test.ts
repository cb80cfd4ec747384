import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import type { Reply } from '../../gateway/mcp/message.ts';
import { pollUntil } from '../support/poll-until.ts';
import { edgeToken, modernRequest, type RunningEdge, startRunningEdge } from '../support/running-edge.ts';

let edge: RunningEdge;
afterEach(() => edge.close());

const result = (content: object = {}): Reply => ({ kind: 'result', result: { ...content } });
const error = (code: number, data?: unknown): Reply => ({
  kind: 'error',
  error: { code, message: 'no', ...(data === undefined ? {} : { data }) },
});
const progress = (count: number) => ({ method: 'notifications/progress', params: { progressToken: 't', progress: count } });
/** The messages of a stream. */
const eventsOf = (text: string) => [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''));

/** Sends bytes as they are, and gives back all that comes until the connection ends. */
const sendRaw = (port: number, text: string | Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(answer)).on('error', reject);
  });

describe('an answer', () => {
  test('is one JSON object that says it is complete and who answers', async () => {
    edge = await startRunningEdge({ handle: async () => result({ content: [] }) });
    const answer = await edge.post(
      'tools/call',
      { name: 'echo', arguments: { text: 'x' } },
      { id: 'a', headers: { 'idempotency-key': 'op' } },
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      result: {
        resultType: 'complete',
        content: [],
        _meta: { 'io.modelcontextprotocol/serverInfo': expect.objectContaining({ name: 'quarterdeck' }) },
      },
    });
    expect(edge.requests[0]).toMatchObject({
      id: 'a',
      method: 'tools/call',
      params: { name: 'echo', arguments: { text: 'x' } },
      principal: { id: 'admin' },
      endpoint: { path: '/mcp/default/default/echo' },
      client: { era: 'modern', protocolVersion: '2026-07-28', info: { name: 'test', version: '1' }, capabilities: {} },
      idempotencyKey: 'op',
      parameterHeaders: {},
    });
    expect(edge.requests[0]?.ask).toBeUndefined();
  });

  test('keeps the `resultType` and the `_meta` that it came with', async () => {
    edge = await startRunningEdge({ handle: async () => result({ resultType: 'input_required', _meta: { own: 1 } }) });
    const { result: answered } = (await (await edge.post('tools/call', { name: 'echo' })).json()) as { result: Record<string, unknown> };
    expect(answered).toMatchObject({
      resultType: 'input_required',
      _meta: { own: 1, 'io.modelcontextprotocol/serverInfo': { name: 'quarterdeck' } },
    });
  });

  test('becomes a stream with the first notification, and ends it', async () => {
    edge = await startRunningEdge({
      handle: async ({ notify }) => {
        await notify(progress(1));
        await notify(progress(2));
        return result({ done: true });
      },
    });
    const answer = await edge.post('tools/call', { name: 'echo' });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('x-accel-buffering')).toBe('no');
    expect(eventsOf(await answer.text())).toEqual([
      { jsonrpc: '2.0', ...progress(1) },
      { jsonrpc: '2.0', ...progress(2) },
      { jsonrpc: '2.0', id: 1, result: expect.objectContaining({ done: true, resultType: 'complete' }) },
    ]);
  });

  test('that takes long opens a stream with a keep-alive, and nothing is sent after it', async () => {
    let late: ClientRequest | undefined;
    const open = Promise.withResolvers<Reply>();
    edge = await startRunningEdge({
      timing: { quietMs: 20, keepAliveMs: 20 },
      handle: (request) => {
        late = request;
        return open.promise;
      },
    });
    const answer = await edge.post('tools/call', { name: 'slow' });
    const reader = (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (text.split(':\n\n').length < 4) text += (await reader.read()).value;
    open.resolve(result());
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    expect(eventsOf(text)).toHaveLength(1);
    await expect(late?.notify(progress(1))).resolves.toBeUndefined();
  });

  test('is JSON alone for a client that reads no stream, without what would have come before it', async () => {
    edge = await startRunningEdge({
      timing: { quietMs: 5 },
      handle: async ({ notify }) => {
        await notify(progress(1));
        await new Promise((resolve) => setTimeout(resolve, 20));
        return result();
      },
    });
    const answer = await edge.post('tools/call', { name: 'echo' }, { headers: { accept: 'application/json' } });
    expect(await answer.json()).toMatchObject({ id: 1, result: { resultType: 'complete' } });
  });

  test('is a stream for a client that reads nothing else, and 406 for one that reads neither', async () => {
    edge = await startRunningEdge({ handle: async () => result() });
    const streamed = await edge.post('tools/list', {}, { headers: { accept: 'text/event-stream' } });
    expect(eventsOf(await streamed.text())).toMatchObject([{ id: 1, result: {} }]);
    expect((await edge.post('tools/list', {}, { headers: { accept: 'text/html' } })).status).toBe(406);
    expect((await edge.post('subscriptions/listen', {}, { headers: { accept: 'application/json' } })).status).toBe(406);
    expect(edge.requests).toHaveLength(1);
  });

  test.each([
    [error(-32601), 404],
    [error(-32020), 400],
    [error(-32021, { requiredCapabilities: { sampling: {} } }), 400],
    [error(-32022), 400],
    [error(-32602), 200],
    [error(-32010, { code: 'argument_refused' }), 200],
  ])('%j has the status %i', async (reply, status) => {
    edge = await startRunningEdge({ handle: async () => reply });
    const answer = await edge.post('tools/list');
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({ jsonrpc: '2.0', id: 1, error: (reply as { error: unknown }).error });
  });

  test('of a surface that fails says `internal`, with nothing of the cause and without a 500', async () => {
    edge = await startRunningEdge({
      handle: async () => {
        throw new Error('secret');
      },
    });
    const answer = await edge.post('tools/list');
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ id: 1, error: { code: -32603 } });
    expect(text).not.toContain('secret');
  });

  test('is not waited for when the client left: the request is aborted', async () => {
    const aborted = Promise.withResolvers<boolean>();
    edge = await startRunningEdge({
      handle: ({ signal }) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            aborted.resolve(true);
            resolve(result());
          }),
        ),
    });
    const leaving = new AbortController();
    const answer = fetch(edge.url, { ...modernRequest('tools/call', { name: 'slow' }), signal: leaving.signal }).catch(() => undefined);
    await pollUntil(() => edge.requests[0], 'the request');
    leaving.abort();
    await answer;
    expect(await aborted.promise).toBe(true);
  });

  test('leaves the signal alone when it was read to its end', async () => {
    edge = await startRunningEdge({ handle: async () => result() });
    await (await edge.post('tools/list')).text();
    await (await edge.post('tools/list')).text();
    expect(edge.requests.map(({ signal }) => signal.aborted)).toEqual([false, false]);
  });
});

describe('a request', () => {
  test('to discover is answered with all versions, newest first, and for this caller alone', async () => {
    edge = await startRunningEdge();
    const answer = await edge.post('server/discover');
    expect(await answer.json()).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        resultType: 'complete',
        supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
        capabilities: { tools: {} },
        instructions: 'Ask.',
        ttlMs: 60_000,
        cacheScope: 'private',
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'edge-test', version: '1' } },
      },
    });
  });

  test('to listen has its stream at once, before the surface says anything', async () => {
    const ending = Promise.withResolvers<Reply>();
    edge = await startRunningEdge({ handle: () => ending.promise });
    const answer = await edge.post('subscriptions/listen', { notifications: {} }, { id: 7 });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(edge.requests[0]).toMatchObject({ id: 7, method: 'subscriptions/listen' });
    ending.resolve(result());
    expect(eventsOf(await answer.text())).toMatchObject([{ id: 7, result: { resultType: 'complete' } }]);
  });

  test('carries its level for log messages and its `Mcp-Param-*` headers to the surface', async () => {
    edge = await startRunningEdge({ handle: async () => result() });
    await edge.post(
      'tools/call',
      { name: 'echo' },
      { headers: { 'Mcp-Param-Region': 'eu' }, meta: { 'io.modelcontextprotocol/logLevel': 'warning' } },
    );
    expect(edge.requests[0]).toMatchObject({ logLevel: 'warning', parameterHeaders: { 'mcp-param-region': 'eu' } });
  });

  test.each([
    ['a name in Base64', { name: 'größe' }, { 'mcp-name': `=?base64?${Buffer.from('größe').toString('base64')}?=` }],
    ['blanks around a header', { name: 'echo' }, { 'mcp-name': '  echo  ', 'mcp-method': ' tools/call\t' }],
    ['no client info', { name: 'echo' }, {}],
  ])('with %s is served', async (_what, params, headers) => {
    edge = await startRunningEdge({ handle: async () => result() });
    const meta = { 'io.modelcontextprotocol/clientInfo': undefined };
    expect((await edge.post('tools/call', params, { headers, meta })).status).toBe(200);
  });

  test.each([
    ['Mcp-Method of another method', 'tools/list', {}, { headers: { 'mcp-method': 'prompts/list' } }, -32020],
    ['Mcp-Method in capitals', 'tools/list', {}, { headers: { 'mcp-method': 'TOOLS/LIST' } }, -32020],
    ['no Mcp-Method', 'tools/list', {}, { headers: { 'mcp-method': undefined } }, -32020],
    ['Mcp-Name of another tool', 'tools/call', { name: 'a' }, { headers: { 'mcp-name': 'b' } }, -32020],
    ['no Mcp-Name', 'tools/call', { name: 'a' }, { headers: { 'mcp-name': undefined } }, -32020],
    ['Mcp-Name of another resource', 'resources/read', { uri: 'a:b' }, { headers: { 'mcp-name': 'a:c' } }, -32020],
    ['Mcp-Name of another prompt', 'prompts/get', { name: 'a' }, { headers: { 'mcp-name': 'b' } }, -32020],
    ['Mcp-Name of another task', 'tasks/get', { taskId: 'a' }, { headers: { 'mcp-name': 'b' } }, -32020],
    ['Mcp-Name in faulty Base64', 'tools/call', { name: 'Hello' }, { headers: { 'mcp-name': '=?base64?SGVsbG8?=' } }, -32020],
    ['Mcp-Name but no name', 'tools/call', {}, { headers: { 'mcp-name': 'a' } }, -32020],
    ['another version in the header', 'tools/list', {}, { headers: { 'mcp-protocol-version': '2025-11-25' } }, -32020],
    ['no version header', 'tools/list', {}, { headers: { 'mcp-protocol-version': undefined } }, -32020],
    ['no `_meta`', 'tools/list', {}, { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }, -32602],
    ['no version', 'tools/list', {}, { meta: { 'io.modelcontextprotocol/protocolVersion': undefined } }, -32602],
    ['no capabilities', 'tools/list', {}, { meta: { 'io.modelcontextprotocol/clientCapabilities': undefined } }, -32602],
    ['client info of another shape', 'tools/list', {}, { meta: { 'io.modelcontextprotocol/clientInfo': 'me' } }, -32602],
    ['a level that is none', 'tools/list', {}, { meta: { 'io.modelcontextprotocol/logLevel': 'loud' } }, -32602],
    ['a progress token that is none', 'tools/list', {}, { meta: { progressToken: {} } }, -32602],
  ])('with %s is refused, and nothing behind hears of it', async (_what, method, params, changes, code) => {
    edge = await startRunningEdge({ handle: async () => result() });
    const answer = await edge.post(method, params, changes);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', id: 1, error: { code } });
    expect([...edge.requests, ...edge.toLegacy]).toEqual([]);
  });

  test('of an unknown version is told which there are; a legacy version in `_meta` is told of the modern ones', async () => {
    edge = await startRunningEdge();
    const of = async (version: string) => {
      const changes = { headers: { 'mcp-protocol-version': version }, meta: { 'io.modelcontextprotocol/protocolVersion': version } };
      const answer = await edge.post('tools/list', {}, changes);
      expect(answer.status).toBe(400);
      return answer.json();
    };
    const supported = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
    expect(await of('v999')).toMatchObject({ id: 1, error: { code: -32022, data: { supported, requested: 'v999' } } });
    expect(await of('2025-11-25')).toMatchObject({ error: { code: -32022, data: { supported: ['2026-07-28'], requested: '2025-11-25' } } });
  });
});

describe('what is no request of the modern era', () => {
  test('goes to the legacy one: handshakes, sessions, batches, answers, GET and DELETE', async () => {
    edge = await startRunningEdge();
    const headers = { authorization: `Bearer ${edgeToken}`, 'content-type': 'application/json' };
    const initialize = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } };
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    const post = (message: unknown, more: Record<string, string> = {}) =>
      fetch(edge.url, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(message) });
    await post(initialize);
    await post(list, { 'mcp-session-id': 'x', 'mcp-protocol-version': '2025-06-18' });
    await post(list);
    await post([list]);
    await post({ jsonrpc: '2.0', id: 4, result: {} });
    await fetch(edge.url, { headers });
    await fetch(edge.url, { method: 'DELETE', headers });
    expect(edge.toLegacy).toEqual([
      { kind: 'post', message: initialize },
      { kind: 'post', message: list },
      { kind: 'post', message: list },
      { kind: 'post', message: [list] },
      { kind: 'post', message: { jsonrpc: '2.0', id: 4, result: {} } },
      { kind: 'get' },
      { kind: 'delete' },
    ]);
    expect(edge.requests).toEqual([]);
  });

  test('other methods, and GET by a modern client, are not allowed', async () => {
    edge = await startRunningEdge();
    const headers = { authorization: `Bearer ${edgeToken}` };
    const put = await fetch(edge.url, { method: 'PUT', headers, body: 'x' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST, DELETE']);
    const get = await fetch(edge.url, { headers: { ...headers, 'mcp-protocol-version': '2026-07-28' } });
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
  });

  test('a notification is taken, and answered with nothing', async () => {
    edge = await startRunningEdge();
    const answer = await edge.post('notifications/cancelled', { requestId: 1 }, { id: undefined });
    expect([answer.status, await answer.text()]).toEqual([202, '']);
    expect((await edge.post('notifications/x', {}, { id: undefined, headers: { 'mcp-method': 'other' } })).status).toBe(400);
  });

  test.each([
    ['{"jsonrpc":"2.0","id":1,"method":"tools/li', -32700, null],
    ['nonsense', -32700, null],
    ['', -32700, null],
    ['[]', -32600, null],
    ['7', -32600, null],
    ['{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}', -32600, null],
    ['{"jsonrpc":"2.0","id":null,"method":"tools/list"}', -32600, null],
    ['{"jsonrpc":"2.0","id":{"a":1},"method":"tools/list"}', -32600, null],
    ['{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}', -32600, null],
    ['{"id":9,"method":"tools/list"}', -32600, 9],
    [`{"jsonrpc":"2.0","id":9,"method":"x","params":{"a":${'['.repeat(64)}${']'.repeat(64)}}}`, -32600, null],
    ['[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]', -32600, null],
  ])('%s is answered with an error, and never with a 500', async (body, code, id) => {
    edge = await startRunningEdge();
    const answer = await edge.post('tools/list', {}, { body });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', id, error: { code } });
    expect([...edge.requests, ...edge.toLegacy]).toEqual([]);
  });

  test('what is neither JSON nor plain is refused with 415', async () => {
    edge = await startRunningEdge();
    expect((await edge.post('tools/list', {}, { headers: { 'content-type': 'text/plain' } })).status).toBe(415);
    expect((await edge.post('tools/list', {}, { headers: { 'content-encoding': 'gzip' } })).status).toBe(415);
    expect((await edge.post('tools/list', {}, { headers: { 'content-type': 'application/json; charset=utf-8' } })).status).toBe(404);
  });
});

describe('a body over 4 MiB', () => {
  const large = ' '.repeat(4 * 1024 * 1024 + 1);

  test('is refused with 413 before it is parsed, and the connection serves the next request', async () => {
    edge = await startRunningEdge({ handle: async () => result() });
    const { headers, body } = modernRequest('tools/list');
    const lines = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    const request = (length: number, more = '') =>
      `POST /mcp/echo HTTP/1.1\r\nhost: 127.0.0.1:${edge.port}\r\n${lines}${more}content-length: ${length}\r\n\r\n`;
    const answers = await sendRaw(edge.port, request(large.length) + large + request(body.length, 'connection: close\r\n') + body);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
    expect(answers).toContain('"code":-32010');
    expect(answers).toContain('request_too_large');
  });

  test('in chunks too', async () => {
    edge = await startRunningEdge({ handle: async () => result() });
    const chunks = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent <= 4; sent += 1) controller.enqueue(Buffer.alloc(1024 * 1024, 32));
        controller.close();
      },
    });
    const answer = await fetch(edge.url, { ...modernRequest('tools/list'), body: chunks, duplex: 'half' } as RequestInit);
    expect(answer.status).toBe(413);
    expect(edge.requests).toEqual([]);
  });

  test('of more than is worth reading costs its sender the connection', async () => {
    edge = await startRunningEdge();
    const head = `POST /mcp/echo HTTP/1.1\r\nhost: 127.0.0.1:${edge.port}\r\nauthorization: Bearer ${edgeToken}\r\ncontent-length: 99999999999\r\n\r\n`;
    const answer = await sendRaw(edge.port, head);
    expect(answer).toContain('HTTP/1.1 413');
    expect(answer.toLowerCase()).toContain('connection: close');
  });
});

describe('before all that', () => {
  test('without a token there is a 401 and no look at the body', async () => {
    edge = await startRunningEdge();
    const head = `POST /mcp/echo HTTP/1.1\r\nhost: 127.0.0.1:${edge.port}\r\ncontent-length: 10\r\nconnection: close\r\n\r\n`;
    expect(await sendRaw(edge.port, head)).toContain('HTTP/1.1 401');
  });

  test.each([
    ['evil.example', undefined],
    [undefined, 'http://evil.example'],
    [undefined, 'null'],
  ])('Host %s with Origin %s is foreign: 403', async (host, origin) => {
    edge = await startRunningEdge();
    const lines = [`host: ${host ?? `127.0.0.1:${edge.port}`}`, ...(origin ? [`origin: ${origin}`] : [])].join('\r\n');
    expect(await sendRaw(edge.port, `GET /mcp HTTP/1.1\r\n${lines}\r\n\r\n`)).toContain('HTTP/1.1 403');
  });

  test('localhost by any of its names is ours, as Host and as Origin', async () => {
    edge = await startRunningEdge();
    for (const name of ['localhost', 'LOCALHOST', '127.0.0.1', '[::1]']) {
      const lines = `host: ${name}:${edge.port}\r\norigin: http://${name}:${edge.port}\r\nconnection: close`;
      expect(await sendRaw(edge.port, `GET /mcp HTTP/1.1\r\n${lines}\r\n\r\n`)).toContain('HTTP/1.1 401');
    }
  });

  test.each(['//', '/\\', '/%zz', '//evil.example/mcp', 'http://[', '*', '/mcp/UPPER', '/mcp/a/b'])(
    'the path %s leads nowhere',
    async (path) => {
      edge = await startRunningEdge();
      const answer = await sendRaw(edge.port, `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${edge.port}\r\nconnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 40[04]/);
    },
  );
});
