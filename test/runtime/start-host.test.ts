import { readdir, readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerLaunchInput } from '../../schema/server-launch.ts';
import { type HostHarness, isAlive, startTestHost, tinyLaunch, until } from './support/host-harness.ts';

let host: HostHarness;
let now = 0;
const id = 'default/default/tiny';
beforeAll(async () => {
  host = await startTestHost({ isCaged: false, now: () => now });
  await host.ensure(tinyLaunch(id));
});
afterAll(() => host.close());

const pidOf = async (instance: string): Promise<number> => JSON.parse(await host.toolText(instance, 'about')).pid;

describe('the door', () => {
  const status = (headers: Record<string, string>, path = '/instances') =>
    new Promise((resolve, reject) => {
      httpRequest({ port: host.port, host: '127.0.0.1', path, headers }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
  const authorization = 'Bearer internal-key';

  test('opens to the key alone', async () => {
    const good = `127.0.0.1:${host.port}`;
    expect(await status({ host: good, authorization })).toBe(200);
    expect(await status({ host: good })).toBe(401);
    expect(await status({ host: good, authorization: 'Bearer internal-key2' })).toBe(401);
    expect(await status({ host: good, authorization: 'internal-key' })).toBe(401);
    expect(await status({ host: good }, '/healthz')).toBe(200);
  });

  test('is closed to other names, other ports and web pages, whatever they bring', async () => {
    for (const name of [`localhost.evil:${host.port}`, '127.0.0.1', 'localhost:1', `127.0.0.1.evil:${host.port}`])
      expect(await status({ host: name, authorization })).toBe(403);
    expect(await status({ host: `localhost:${host.port}`, authorization, origin: 'null' })).toBe(403);
  });
});

describe('instances', () => {
  test('are ensured once: the same digest finds the same process, another one replaces it', async () => {
    const launch = tinyLaunch('default/default/replaced');
    const first = await (await host.ensure(launch)).json();
    expect(first).toMatchObject({ state: 'ready', isolation: 0, serverInfo: { name: 'tiny' }, protocolVersion: '2025-11-25' });
    const again = await Promise.all([1, 2, 3].map(async () => (await host.ensure(launch)).json()));
    for (const answer of again) expect(answer).toEqual(first);
    const other = (await (await host.ensure({ ...launch, digest: 'sha256:two' })).json()) as { pid: number };
    expect(other.pid).not.toBe((first as { pid: number }).pid);
    expect(isAlive((first as { pid: number }).pid)).toBe(false);
    expect((await host.request('DELETE', host.pathOf(launch.id))).status).toBe(204);
    expect(isAlive(other.pid)).toBe(false);
    expect((await host.request('DELETE', host.pathOf(launch.id))).status).toBe(204);
    expect((await host.rpc(launch.id, { jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(404);
  });

  test('are listed with what they are', async () => {
    expect(await (await host.request('GET', '/instances')).json()).toEqual({
      instances: [{ id, digest: 'sha256:one', state: 'ready', pid: await pidOf(id), isolation: 0, pending: 0 }],
    });
  });

  test.each([
    ['an unknown field', { ...tinyLaunch(id), extra: 1 }, 'extra'],
    ['another id than in the address', tinyLaunch('default/default/other'), 'id'],
    [
      'a folder at a place of the cage itself',
      { ...tinyLaunch(id), mounts: [{ source: '/tmp', at: '/usr/x', mode: 'ro' }] },
      'mounts.0.at',
    ],
    ['a folder above such a place', { ...tinyLaunch(id), mounts: [{ source: '/tmp', at: '/opt', mode: 'ro' }] }, 'mounts.0.at'],
    ['a place with .. in it', { ...tinyLaunch(id), mounts: [{ source: '/tmp', at: '/a/../usr', mode: 'ro' }] }, 'mounts.0.at'],
    [
      'a folder in another one',
      { ...tinyLaunch(id), volumes: ['/a', '/a/b'].map((at) => ({ hostPath: '/tmp', at, mode: 'ro' })) },
      'lies in another',
    ],
    ['a package that is not installed', { ...tinyLaunch(id), digest: 'x', program: { kind: 'npm', package: 'not-here' } }, 'not-here'],
  ])('are refused with %s', async (_what, body, words) => {
    const answer = await host.request('PUT', host.pathOf(id), body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(await answer.json()).toMatchObject({ code: 'input_invalid', detail: expect.stringContaining(words) });
    await host.ensure(tinyLaunch(id));
  });

  test('that cannot start say so', async () => {
    const start = async (command: string[], env = {}) => {
      const failing = tinyLaunch('default/default/failing', {
        program: { kind: 'command', command },
        env,
        digest: JSON.stringify([command, env]),
      });
      const answer = await host.ensure(failing);
      expect(answer.status).toBe(503);
      return ((await answer.json()) as { code: string; detail: string }).detail;
    };
    expect(await start(['/no/such/program'])).toContain('could not be started');
    expect(await start(['node', '-e', 'process.exit(3)'])).toContain('ended with code 3');
    expect(await start(['node', '/server/tiny-server.ts'], { TINY_PROTOCOL: '1999-01-01' })).toContain('speaks MCP 1999-01-01');
    await host.request('DELETE', host.pathOf('default/default/failing'));
  });

  test('get a clean environment with what they were given', async () => {
    const launch = tinyLaunch('default/default/env', { env: { GREETING: 'hi' }, args: ['/server/x', 'plain'] });
    await host.ensure(launch);
    const about = JSON.parse(await host.toolText(launch.id, 'about'));
    // Node itself adds nothing; macOS adds one variable to every process.
    expect(Object.keys(about.env).filter((name) => name !== '__CF_USER_TEXT_ENCODING')).toEqual(['PATH', 'GREETING']);
    await host.request('DELETE', host.pathOf(launch.id));
  });
});

describe('messages', () => {
  test('of two callers at once with the same id do not meet', async () => {
    const hold = (name: string) =>
      host.rpc(id, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'hold', arguments: { name, text: `for ${name}` } } });
    const [first, second] = [hold('first'), hold('second')];
    await until(async () => JSON.parse(await host.toolText(id, 'held')).length >= 2, 'both are held');
    await host.toolText(id, 'release', { name: 'second' });
    expect(await (await second).json()).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'for second' }] } });
    await host.toolText(id, 'release', { name: 'first' });
    expect(await (await first).json()).toMatchObject({ id: 1, result: { content: [{ text: 'for first' }] } });
  });

  test('that are initialize are answered from what the server said once', async () => {
    const initialize = (protocolVersion: string) =>
      host.rpc(id, {
        jsonrpc: '2.0',
        id: 'x',
        method: 'initialize',
        params: { protocolVersion, capabilities: {}, clientInfo: { name: 'a', version: '1' } },
      });
    for (const version of ['2025-11-25', '2024-11-05'])
      expect(await (await initialize(version)).json()).toMatchObject({
        id: 'x',
        result: { protocolVersion: '2025-11-25', serverInfo: { name: 'tiny' } },
      });
    const arrived = JSON.parse(await host.toolText(id, 'arrived')) as string[];
    expect(arrived.filter((method) => method.startsWith('initialize'))).toEqual(['initialize']);
    expect(arrived.filter((method) => method === 'notifications/initialized')).toHaveLength(1);
  });

  test('that are notifications or answers get 202, and no other method is served', async () => {
    expect((await host.rpc(id, { jsonrpc: '2.0', method: 'notifications/initialized' })).status).toBe(202);
    expect((await host.rpc(id, { jsonrpc: '2.0', id: 1, result: {} })).status).toBe(202);
    const refused = await host.request('PUT', host.pathOf(id, '/mcp'));
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, POST, DELETE']);
  });

  test.each([
    '{',
    '[]',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    '{"id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":null,"method":"ping"}',
    '"x"',
  ])('that are malformed are refused: %s', async (body) => {
    const answer = await host.rpc(id, body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: body === '{' ? -32700 : -32600 } });
  });

  test('over 4 MiB are refused, and answers over 16 MiB too', async () => {
    const answer = await host
      .rpc(id, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x', params: 'x'.repeat(5 * 1024 * 1024) }))
      .catch(() => null);
    // The connection may be closed while the rest is still being sent.
    if (answer !== null) expect(answer.status).toBe(413);
    expect(await host.callTool(id, 'big', { bytes: 17 * 1024 * 1024 })).toMatchObject({
      error: { data: { code: 'result_too_large', retryable: false } },
      lost: 'result-too-large',
    });
    expect(await host.toolText(id, 'big', { bytes: 10 * 1024 * 1024 })).toHaveLength(10 * 1024 * 1024);
  });

  test('of the server are refused, except a ping', async () => {
    const answers = JSON.parse(await host.toolText(id, 'ask')) as { result?: unknown; error?: { code: number } }[];
    expect(answers.map(({ result, error }) => result ?? error?.code)).toEqual([{}, -32601, -32601, -32601]);
  });

  test('survive noise between them, which is logged without its content', async () => {
    expect(await host.toolText(id, 'garbage')).toBe('still here');
    const record = host.logged.find((line) => line.includes('server-output-ignored')) ?? '';
    expect(JSON.parse(record)).toMatchObject({ lines: 1, instance: id });
    expect(host.logged.join('')).not.toContain('starting up');
  });
});

describe('progress', () => {
  const call = (meta: object, accept: string) =>
    host.rpc(
      id,
      { jsonrpc: '2.0', id: 4, method: 'tools/call', params: { name: 'progress', arguments: { steps: 3 }, _meta: meta } },
      { headers: { accept } },
    );

  test('comes as events, then the answer, when it was asked for', async () => {
    const answer = await call({ progressToken: 'mine' }, 'application/json, text/event-stream');
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const events = (await answer.text())
      .trim()
      .split('\n\n')
      .map((event) => JSON.parse(event.replace('event: message\ndata: ', '')));
    expect(events.map(({ method, params, id: answered }) => [method ?? answered, params?.progressToken, params?.progress])).toEqual([
      ['notifications/progress', 'mine', 1],
      ['notifications/progress', 'mine', 2],
      ['notifications/progress', 'mine', 3],
      [4, undefined, undefined],
    ]);
  });

  test('is left out for callers that did not ask or cannot read events', async () => {
    for (const answer of [await call({ progressToken: 'mine' }, 'application/json'), await call({}, 'text/event-stream')]) {
      expect(answer.headers.get('content-type')).toBe('application/json');
      expect(await answer.json()).toMatchObject({ id: 4, result: { content: [{ text: 'no token' }] } });
    }
  });
});

describe('cancelling', () => {
  const hold = (name: string, init?: RequestInit) =>
    host.rpc(id, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'hold', arguments: { name } } }, init);
  const isHeld = (name: string) => until(async () => JSON.parse(await host.toolText(id, 'held')).includes(name), `${name} is held`);
  const cancelledCount = async () => JSON.parse(await host.toolText(id, 'cancelled')).length as number;

  test('by leaving reaches the server for that request only', async () => {
    const before = await cancelledCount();
    const leaving = new AbortController();
    const left = hold('left', { signal: leaving.signal }).catch((error: Error) => error.name);
    const stays = hold('stays');
    await Promise.all([isHeld('left'), isHeld('stays')]);
    leaving.abort();
    expect(await left).toBe('AbortError');
    await until(async () => (await cancelledCount()) === before + 1, 'the server heard of it');
    await host.toolText(id, 'release', { name: 'stays' });
    expect((await stays).status).toBe(200);
    expect(await cancelledCount()).toBe(before + 1);
  });

  test('by notification reaches the request of the same session', async () => {
    const before = await cancelledCount();
    const session = (name: string) => ({ headers: { 'mcp-session-id': name } });
    const mine = hold('mine', session('me'));
    const theirs = hold('theirs', session('them'));
    await Promise.all([isHeld('mine'), isHeld('theirs')]);
    const notice = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, reason: 'changed my mind' } };
    expect((await host.rpc(id, notice, session('me'))).status).toBe(202);
    expect(await (await mine).json()).toMatchObject({ id: 1, error: { code: -32800 } });
    expect(await cancelledCount()).toBe(before + 1);
    await host.toolText(id, 'release', { name: 'theirs' });
    expect(await (await theirs).json()).toMatchObject({ id: 1, result: {} });
  });
});

describe('what stands beside an answer', () => {
  const call = (name: string, args: object, headers: Record<string, string> = {}) =>
    host.rpc(id, { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }, { headers });
  const stampNow = async () => (await call('echo', { text: 'x' })).headers.get('quarterdeck-instance') ?? '';

  test('is never the word of the server, whatever error it gives', async () => {
    const answer = await call('refuse', { error: { code: -32000, message: 'no', data: { sent: false, 'quarterdeck-lost': 'not-sent' } } });
    expect(await answer.json()).toMatchObject({ error: { code: -32000, data: { sent: false } } });
    expect(answer.headers.has('quarterdeck-lost')).toBe(false);
  });

  test('names the process, which changes when it says that its tools changed, and a call for another one is not made', async () => {
    const first = await stampNow();
    expect(first).toMatch(/^[0-9a-f-]{36}\.\d+$/);
    expect(await stampNow()).toBe(first);
    await call('change', {});
    const second = await stampNow();
    expect(second).not.toBe(first);
    const before = JSON.parse(await host.toolText(id, 'arrived')).length;
    const refused = await call('echo', { text: 'x' }, { 'quarterdeck-instance': first });
    expect(refused.headers.get('quarterdeck-lost')).toBe('other-instance');
    expect(JSON.parse(await host.toolText(id, 'arrived')).length).toBe(before + 1);
    expect((await call('echo', { text: 'x' }, { 'quarterdeck-instance': second })).headers.has('quarterdeck-lost')).toBe(false);
  });
});

describe('a server that dies', () => {
  test('fails what was pending as sent, and the next call starts it again', async () => {
    const pid = await pidOf(id);
    const pending = host.callTool(id, 'hold', { name: 'never' });
    await until(async () => JSON.parse(await host.toolText(id, 'held')).includes('never'), 'it is held');
    process.kill(pid, 'SIGKILL');
    expect(await pending).toMatchObject({ error: { code: -32000, data: { code: 'server_unavailable', retryable: true } }, lost: 'sent' });
    expect(await host.toolText(id, 'echo', { text: 'back' })).toBe('back');
    expect(await pidOf(id)).not.toBe(pid);
  });

  test('is known at once, also where something that it left behind still holds its output', async () => {
    const id = 'default/default/tiny-leaves';
    expect((await host.ensure(tinyLaunch(id))).status).toBe(200);
    await host.toolText(id, 'evaluate', { script: "child.spawn('sleep', ['60'], { stdio: 'inherit' }).unref()" });
    const { pid } = JSON.parse(await host.toolText(id, 'about'));
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), 'its end');
    const answers = await Promise.all([0, 1, 2].map(() => host.toolText(id, 'about')));
    const pids = answers.map((answer) => JSON.parse(answer).pid);
    expect(new Set(pids).size).toBe(1);
    expect(pids[0]).not.toBe(pid);
  });

  test('too often has to rest, and is started again after that', async () => {
    now += 60_000;
    for (let death = 0; death < 5; death += 1) {
      const answer = await host.callTool(id, 'exit', { code: 1 });
      expect(answer.lost).toBe('sent');
    }
    const resting = await host.callTool(id, 'echo', { text: 'x' });
    if (resting.error === undefined) await host.callTool(id, 'exit', { code: 1 });
    expect(await host.callTool(id, 'echo', { text: 'x' })).toMatchObject({
      error: { data: { code: 'server_unavailable' } },
      lost: 'not-sent',
    });
    expect((await host.ensure(tinyLaunch(id))).status).toBe(503);
    now += 60_000;
    expect(await host.toolText(id, 'echo', { text: 'rested' })).toBe('rested');
  });
});

test('the error output of a server lands in its own file', async () => {
  await host.toolText(id, 'complain', { bytes: 10 });
  const read = async () => {
    const [name = ''] = (await readdir(host.config.logDirectory)).filter((file) => file.startsWith('default_default_tiny-'));
    return readFile(join(host.config.logDirectory, name), 'utf8');
  };
  await until(async () => (await read()).includes('eeeeeeeeee\n'), 'the line is there');
});

test('a client of the official SDK lists and calls tools', async () => {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const address = new URL(`${host.address}${host.pathOf(id, '/mcp')}`);
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit: { headers: { authorization: 'Bearer internal-key' } } }));
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
  expect(await client.callTool({ name: 'echo', arguments: { text: 'hello' } })).toMatchObject({ content: [{ text: 'hello' }] });
  const seen: number[] = [];
  await client.callTool({ name: 'progress', arguments: { steps: 4 } }, undefined, { onprogress: ({ progress }) => seen.push(progress) });
  expect(seen).toEqual([1, 2, 3, 4]);
  await client.close();
});

test('paths are translated for a server outside of a cage, both ways', async () => {
  const launch: ServerLaunchInput = {
    id: 'default/default/files',
    digest: 'x',
    program: { kind: 'npm', package: '@modelcontextprotocol/server-filesystem' },
    args: ['/input'],
    volumes: [{ hostPath: host.folder, at: '/input', mode: 'rw', hide: ['logs'] }],
  };
  await host.ensure(launch);
  expect(await host.toolText(launch.id, 'write_file', { path: '/input/note.txt', content: 'kept' })).toContain('/input/note.txt');
  expect(await readFile(join(host.folder, 'note.txt'), 'utf8')).toBe('kept');
  expect(await host.toolText(launch.id, 'list_allowed_directories')).not.toContain(host.folder);
  const resolved = await host.request('POST', host.pathOf(launch.id, '/resolve-paths'), {
    paths: ['/input/note.txt', '/input/logs', '/etc'],
  });
  expect(await resolved.json()).toEqual({
    paths: [
      { path: '/input/note.txt', canonical: '/input/note.txt', exists: true, escapes: false, volumes: '/input' },
      { path: '/input/logs', canonical: '/input/logs', exists: false, escapes: false, volumes: '/input' },
      { path: '/etc', canonical: null, exists: false, escapes: true, volumes: null },
    ],
  });
});

test('no server runs where cages are demanded and cannot be had', async () => {
  const strict = await startTestHost({ isCaged: false, config: { allowUncaged: false } });
  const answer = await strict.ensure(tinyLaunch(id));
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: 'isolation_unavailable', detail: 'No cages in this test.' });
  await strict.close();
});

test('a second host on the same port is told that the port is taken', async () => {
  await expect(startTestHost({ isCaged: false, config: { port: host.port } })).rejects.toMatchObject({ code: 'port_taken' });
});

test('closing the host ends its servers, also one that is just starting', async () => {
  const closing = await startTestHost({ isCaged: false });
  await closing.ensure(tinyLaunch(id));
  const { pid } = JSON.parse(await closing.toolText(id, 'about'));
  const mute = closing
    .ensure(tinyLaunch('default/default/mute', { program: { kind: 'command', command: ['sleep', '60'] } }))
    .catch(() => null);
  await until(
    async () => ((await (await closing.request('GET', '/instances')).json()) as { instances: unknown[] }).instances.length === 2,
    'it starts',
  );
  const before = Date.now();
  await closing.close();
  await mute;
  expect(Date.now() - before).toBeLessThan(5_000);
  expect(isAlive(pid)).toBe(false);
});
