import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { JsonRpcMessage, JsonRpcRequest } from '../../runtime/stdio/json-rpc.ts';
import { createMultiplexer, type Multiplexer } from '../../runtime/stdio/multiplexer.ts';

let written: JsonRpcMessage[];
let stdin: PassThrough;
let stdout: PassThrough;
let garbage: ReturnType<typeof vi.fn<() => void>>;
let lost: ReturnType<typeof vi.fn<(reason: string) => void>>;
let multiplexer: Multiplexer;

beforeEach(() => {
  written = [];
  stdin = new PassThrough();
  stdout = new PassThrough();
  stdin.on('data', (chunk: Buffer) =>
    written.push(
      ...chunk
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  );
  garbage = vi.fn();
  lost = vi.fn();
  multiplexer = createMultiplexer({ stdin, stdout, onGarbage: garbage, onLost: lost });
});

const request = (id: string | number, params: unknown = {}): JsonRpcRequest => ({ jsonrpc: '2.0', id, method: 'tools/call', params });
const flush = () => new Promise((resolve) => setImmediate(resolve));
const say = async (...messages: unknown[]) => {
  for (const message of messages) stdout.write(`${JSON.stringify(message)}\n`);
  await flush();
};
const sentIds = () => written.filter(({ method }) => method === 'tools/call').map(({ id }) => id as number);

describe('requests', () => {
  test('of two callers with equal ids get their own answers, in whatever order they come', async () => {
    const first = multiplexer.call(request(1), { scope: 'a' });
    const second = multiplexer.call(request(1), { scope: 'b' });
    const third = multiplexer.call(request('1'), { scope: 'a' });
    await flush();
    const ids = sentIds();
    expect(new Set(ids).size).toBe(3);
    for (const [name, id] of ids.toReversed().map((id, index) => [['third', 'second', 'first'][index], id]))
      await say({ jsonrpc: '2.0', id, result: name });
    expect(await Promise.all([first, second, third])).toEqual([
      { jsonrpc: '2.0', id: 1, result: 'first' },
      { jsonrpc: '2.0', id: 1, result: 'second' },
      { jsonrpc: '2.0', id: '1', result: 'third' },
    ]);
    expect(multiplexer.pendingCount()).toBe(0);
  });

  test('that are aborted are cancelled at the server, and their late answer is dropped', async () => {
    const leaving = new AbortController();
    const left = multiplexer.call(request(5), { scope: '', signal: leaving.signal });
    const stays = multiplexer.call(request(6), { scope: '' });
    await flush();
    leaving.abort();
    expect(await left).toMatchObject({ id: 5, error: { code: -32800 } });
    await flush();
    const [leftId, staysId] = sentIds();
    expect(written.at(-1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId: leftId } });
    await say({ jsonrpc: '2.0', id: leftId, result: 'late' }, { jsonrpc: '2.0', id: staysId, result: 'on time' });
    expect(await stays).toMatchObject({ id: 6, result: 'on time' });
  });

  test('that were aborted before never reach the server', async () => {
    expect(await multiplexer.call(request(1), { scope: '', signal: AbortSignal.abort() })).toMatchObject({ error: { code: -32800 } });
    await flush();
    expect(written).toEqual([]);
  });

  test('fail as sent when the server dies, and as not sent when its input is closed', async () => {
    const pending = multiplexer.call(request(1), { scope: '' });
    multiplexer.fail('It died.');
    await expect(pending).rejects.toMatchObject({ code: 'server_unavailable', facts: { sent: true } });
    stdin.end();
    await expect(multiplexer.call(request(2), { scope: '' })).rejects.toMatchObject({ code: 'server_unavailable', facts: { sent: false } });
  });

  test('are refused when the server leaves 16 MiB unread', async () => {
    const stuck = new PassThrough({ highWaterMark: 1 });
    const full = createMultiplexer({ stdin: stuck, stdout, onGarbage: garbage, onLost: lost });
    const calls = Array.from({ length: 6 }, (_, id) => full.call(request(id, { arguments: 'x'.repeat(4 * 1024 * 1024) }), { scope: '' }));
    await expect(calls.at(-1)).rejects.toMatchObject({ code: 'server_unavailable', facts: { sent: false } });
    full.fail('end');
    await Promise.allSettled(calls);
  });
});

describe('cancelling by id', () => {
  test("hits the caller's own request only", async () => {
    const mine = multiplexer.call(request(1), { scope: 'mine' });
    void multiplexer.call(request(1), { scope: 'theirs' });
    multiplexer.cancel('mine', 1, 'enough');
    expect(await mine).toMatchObject({ error: { code: -32800 } });
    await flush();
    expect(written.at(-1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId: sentIds()[0], reason: 'enough' } });
    expect(multiplexer.pendingCount()).toBe(1);
  });

  test('does nothing when several requests are meant, or none', async () => {
    void multiplexer.call(request(1), { scope: '' });
    void multiplexer.call(request(1), { scope: '' });
    multiplexer.cancel('', 1);
    multiplexer.cancel('', 2);
    multiplexer.cancel('other', 1);
    expect(multiplexer.pendingCount()).toBe(2);
  });
});

describe('progress', () => {
  test('is reported under the token of its own caller', async () => {
    const reports: unknown[] = [];
    const hear = (name: string) => (message: { params?: unknown }) => reports.push([name, message.params]) > 0;
    const withToken = { _meta: { progressToken: 'token', other: 1 }, name: 'x' };
    void multiplexer.call(request(1, withToken), { scope: 'a', hear: hear('a') });
    void multiplexer.call(request(1, withToken), { scope: 'b', hear: hear('b') });
    await flush();
    const tokens = written.map(({ params }) => (params as typeof withToken)._meta.progressToken);
    expect(new Set(tokens).size).toBe(2);
    expect(written[0]?.params).toMatchObject({ name: 'x', _meta: { other: 1 } });
    const progress = (progressToken: unknown) => ({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken, progress: 0.5 },
    });
    await say(progress(tokens[1]), progress('token'), progress(999), progress(undefined));
    expect(reports).toEqual([['b', { progressToken: 'token', progress: 0.5 }]]);
  });

  test('is not asked of the server when nobody would hear it', async () => {
    void multiplexer.call(request(1, { _meta: { progressToken: 1, other: 2 } }), { scope: '' });
    await flush();
    expect(written[0]?.params).toEqual({ _meta: { other: 2 } });
  });
});

describe('what the server sends by itself', () => {
  test('gets an answer to a ping and a refusal of anything else', async () => {
    await say({ jsonrpc: '2.0', id: 'p', method: 'ping' }, { jsonrpc: '2.0', id: 1, method: 'sampling/createMessage', params: {} });
    expect(written).toEqual([
      { jsonrpc: '2.0', id: 'p', result: {} },
      { jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'Method not found' } },
    ]);
  });

  test('is counted when it is no message, and harms nobody', async () => {
    const answer = multiplexer.call(request(1), { scope: '' });
    await flush();
    stdout.write('Listening on stdio\n{"jsonrpc":"2.0","id":\n"text"\n[1,{"jsonrpc":"1.0"}]\nnull\n');
    await say({ jsonrpc: '2.0', id: 77, result: 'nobody asked' }, { jsonrpc: '2.0', id: sentIds()[0], result: 'fine' });
    expect(await answer).toMatchObject({ result: 'fine' });
    expect(garbage).toHaveBeenCalledTimes(6);
  });

  test('may be over 16 MiB: only the request it answers fails', async () => {
    const big = multiplexer.call(request(1), { scope: '' });
    const small = multiplexer.call(request(2), { scope: '' });
    const expectation = expect(big).rejects.toMatchObject({ code: 'result_too_large', facts: { sent: true } });
    await flush();
    const [bigId, smallId] = sentIds();
    const text = `"id":${smallId}}`.padEnd(17 * 1024 * 1024, 'x');
    await say({ result: { text }, jsonrpc: '2.0', id: bigId }, { jsonrpc: '2.0', id: smallId, result: 'small' });
    await expectation;
    expect(await small).toMatchObject({ result: 'small' });
    expect(lost).not.toHaveBeenCalled();
  });

  test('cannot be trusted any more when it is over 16 MiB and belongs to no request', async () => {
    await say({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x'.repeat(17 * 1024 * 1024) } });
    expect(lost).toHaveBeenCalledOnce();
  });
});

describe('requests of the server', () => {
  test('go to whoever takes them, under the id the server gave, and its pings do not', async () => {
    const asked: unknown[] = [];
    stdout = new PassThrough();
    multiplexer = createMultiplexer({
      stdin,
      stdout,
      onGarbage: garbage,
      onLost: lost,
      onRequest: (message) => asked.push(message),
    });
    await say({ jsonrpc: '2.0', id: 'p', method: 'ping' }, { jsonrpc: '2.0', id: 0, method: 'roots/list' });
    expect(asked).toEqual([{ jsonrpc: '2.0', id: 0, method: 'roots/list' }]);
    multiplexer.answer({ jsonrpc: '2.0', id: 0, result: { roots: [] } });
    await flush();
    expect(written).toEqual([
      { jsonrpc: '2.0', id: 'p', result: {} },
      { jsonrpc: '2.0', id: 0, result: { roots: [] } },
    ]);
  });
});

describe('subscriptions of a modern server', () => {
  const key = 'io.modelcontextprotocol/subscriptionId';
  const listen = (id: string | number) => {
    const heard: JsonRpcMessage[] = [];
    const request: JsonRpcRequest = {
      jsonrpc: '2.0',
      id,
      method: 'subscriptions/listen',
      params: { notifications: { toolsListChanged: true } },
    };
    const answer = multiplexer.call(request, { scope: '', hear: (message) => heard.push(message) > 0 });
    return { heard, answer };
  };
  const idsWritten = () => written.filter(({ method }) => method === 'subscriptions/listen').map(({ id }) => id);
  const changed = (id: unknown) => ({
    jsonrpc: '2.0',
    method: 'notifications/tools/list_changed',
    params: { _meta: { [key]: id, other: 1 } },
  });

  test('with equal ids hear their own events under their own id, and end with their own answer', async () => {
    const [first, second] = [listen('s'), listen('s')];
    await flush();
    const [firstId, secondId] = idsWritten();
    await say(changed(secondId), changed(999));
    expect(first.heard).toEqual([]);
    expect(second.heard).toEqual([{ ...changed('s') }]);
    await say({ jsonrpc: '2.0', id: firstId, result: { resultType: 'complete', _meta: { [key]: firstId } } });
    expect(await first.answer).toEqual({ jsonrpc: '2.0', id: 's', result: { resultType: 'complete', _meta: { [key]: 's' } } });
  });

  test('that the server takes back end with an error', async () => {
    const { answer } = listen(1);
    const expectation = expect(answer).rejects.toMatchObject({ code: 'server_unavailable', facts: { sent: true } });
    await flush();
    await say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: idsWritten()[0] } });
    await expectation;
  });

  test('are no work: they keep nothing from being idle unless they name a resource', async () => {
    void listen(1);
    expect([multiplexer.isBusy(), multiplexer.underWay().length, multiplexer.pendingCount()]).toEqual([false, 0, 1]);
    const params = { notifications: { resourceSubscriptions: ['file:///a'] } };
    void multiplexer.call({ jsonrpc: '2.0', id: 2, method: 'subscriptions/listen', params }, { scope: '' });
    expect(multiplexer.isBusy()).toBe(true);
  });
});

test('a cancelled request counts as under way until the server answers it, or a minute has passed', async () => {
  let now = 0;
  stdout = new PassThrough();
  multiplexer = createMultiplexer({ stdin, stdout, onGarbage: garbage, onLost: lost, now: () => now });
  const underWay = () => multiplexer.underWay().map(({ request: { id } }) => id);
  for (const id of ['answered', 'silent', 'pending']) void multiplexer.call(request(id), { scope: 'a' });
  await flush();
  const [answeredId] = sentIds();
  multiplexer.cancel('a', 'answered');
  multiplexer.cancel('a', 'silent');
  expect(underWay()).toEqual(['answered', 'silent', 'pending']);
  await say({ jsonrpc: '2.0', id: answeredId, result: {} });
  expect(underWay()).toEqual(['silent', 'pending']);
  now = 60_000;
  expect(underWay()).toEqual(['pending']);
});

test('the requests of one scope are cancelled together', async () => {
  const mine = [1, 2].map((id) => multiplexer.call(request(id), { scope: 'mine' }));
  void multiplexer.call(request(1), { scope: 'theirs' });
  multiplexer.cancelAll('mine');
  for (const answer of await Promise.all(mine)) expect(answer).toMatchObject({ error: { code: -32800 } });
  expect(multiplexer.pendingCount()).toBe(1);
});
