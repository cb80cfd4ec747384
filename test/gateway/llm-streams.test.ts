import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { pollUntil } from '../support/poll-until.ts';
import {
  beginStream,
  chunkEvent,
  doneEvent,
  type RawProvider,
  sendJson,
  startRawProvider,
  usageEvent,
  wholeAnswer,
} from '../support/raw-provider.ts';
import { adminToken } from '../support/running-gateway.ts';
import { type RunningModels, startRunningModels } from '../support/running-models.ts';
import { type ScriptedModel, startScriptedModel } from '../support/scripted-model.ts';

let models: RunningModels;
let provider: RawProvider;
let second: ScriptedModel;

beforeAll(async () => {
  provider = await startRawProvider();
  second = await startScriptedModel({
    answer: () => ({ text: 'from the second', usage: { promptTokens: 7, completionTokens: 3 } }),
    key: 'second-key',
  });
  models = await startRunningModels({
    environment: { SECOND_KEY: 'second-key' },
    localModelUrl: second.url.replace('/v1', ''),
    localModelKey: 'second-key',
    stallMs: 1500,
  });
  const price = { inputMicroUsdPerMillion: 1_000_000, outputMicroUsdPerMillion: 1_000_000 };
  const to = (name: string) => ({ provider: name, model: `${name}-model`, price });
  const nobody = `http://127.0.0.1:${await freePort()}/v1`;
  await models.apply(
    { kind: 'Provider', metadata: { name: 'first' }, spec: { kind: 'openai-compatible', baseUrl: provider.url, timeoutSeconds: 1 } },
    { kind: 'Provider', metadata: { name: 'down' }, spec: { kind: 'openai-compatible', baseUrl: nobody, timeoutSeconds: 1 } },
    {
      kind: 'Provider',
      metadata: { name: 'second' },
      spec: { kind: 'openai-compatible', baseUrl: second.url, apiKey: { env: 'SECOND_KEY' }, timeoutSeconds: 5 },
    },
    { kind: 'Provider', metadata: { name: 'here' }, spec: { kind: 'local' } },
    { kind: 'Model', metadata: { name: 'one' }, spec: { routes: [to('first')], maxOutputTokens: 200 } },
    { kind: 'Model', metadata: { name: 'two' }, spec: { routes: [to('first'), to('second')], maxOutputTokens: 200 } },
    { kind: 'Model', metadata: { name: 'three' }, spec: { routes: [to('down'), to('first'), to('here')], maxOutputTokens: 200 } },
    { kind: 'Model', metadata: { name: 'tiny' }, spec: { routes: [to('here')], quality: 'tiny', decoding: 'constrained' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'readers' },
      spec: { subjects: [{ agentRole: 'reader' }], models: ['one', 'two', 'three', 'tiny'] },
    },
  );
});
afterAll(async () => {
  await models.close();
  await provider.close();
  await second.close();
});
afterEach(() => {
  expect(models.failures).toEqual([]);
  provider.requests.length = 0;
  second.requests.length = 0;
});

const chat = { model: 'one', messages: [{ role: 'user', content: 'tell me something' }] };
const streamed = { ...chat, stream: true };
const promptTokens = Math.ceil('tell me something'.length / 3) + 4;
const post = (token: string, body: object, signal?: AbortSignal, headers: Record<string, string> = {}) =>
  fetch(`${models.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify(body),
    signal,
  });
const read = async (token: string, body: object) => {
  const response = await post(token, body);
  const text = await response.text();
  return { status: response.status, text, headers: response.headers, decisionId: response.headers.get('x-quarterdeck-decision') };
};
const rowOf = (decisionId: string | null) => models.auditRow((row) => row.decisionId === decisionId);
const rowOfAgent = (agentId: string) => models.auditRow((row) => row.agent === agentId);
const lastError = (text: string) => JSON.parse(/data: (\{"error".*)\n\n$/.exec(text)?.[1] ?? 'null')?.error;
/** A promise that a test settles. */
const gate = () => {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
};

const hello = [
  chunkEvent({ role: 'assistant', content: '' }),
  chunkEvent({ content: 'grüße 🎉' }),
  chunkEvent({ content: ' 日本' }),
  chunkEvent({}, 'stop'),
];
const stream = (...parts: string[]) => {
  provider.handle = (response) => void beginStream(response).end(parts.join(''));
};

describe('a stream', () => {
  test('comes through with its own bytes, without the usage that only the gateway asked for', async () => {
    stream(...hello, usageEvent(11, 4), doneEvent);
    const agent = await models.addAgentWithToken();
    const { status, text, headers, decisionId } = await read(agent.token, streamed);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(text).toBe([...hello, doneEvent].join(''));
    expect(JSON.parse(provider.requests[0]?.body ?? '')).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 200,
    });
    expect(await rowOf(decisionId)).toMatchObject({
      outcome: 'ok',
      inputTokens: 11,
      outputTokens: 4,
      costMicroUsd: 15,
      facts: { streamed: true },
    });
    expect(await models.agent(agent.id)).toMatchObject({ tokens: 15, costMicroUsd: 15 });
  });

  test('keeps the usage when the caller asked for it', async () => {
    stream(...hello, usageEvent(11, 4), doneEvent);
    const { text } = await read(adminToken, { ...streamed, stream_options: { include_usage: true } });
    expect(text).toBe([...hello, usageEvent(11, 4), doneEvent].join(''));
  });

  test('is the same when it comes byte by byte, cut inside characters and inside `data:`', async () => {
    provider.handle = async (response) => {
      beginStream(response).socket?.setNoDelay(true);
      for (const byte of Buffer.from([...hello, usageEvent(11, 4), doneEvent].join(''))) {
        response.write(Buffer.from([byte]));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    expect((await read(adminToken, streamed)).text).toBe([...hello, doneEvent].join(''));
  });

  test('is passed on as it comes: the first token is there before the provider has the second', async () => {
    const { open, opened } = gate();
    provider.handle = async (response) => {
      beginStream(response).write(hello[1]);
      await opened;
      response.end(chunkEvent({}, 'stop') + doneEvent);
    };
    const response = await post(adminToken, streamed);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe(hello[1]);
    open();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += Buffer.from(part.value).toString();
    expect(rest).toBe(chunkEvent({}, 'stop') + doneEvent);
  });

  test('is settled before its end arrives, so that a next call at the limit is not refused', async () => {
    stream(...hello, usageEvent(11, 4), doneEvent);
    const agent = await models.addAgentWithToken({ limits: { tokens: promptTokens + 200 + 100, steps: 6 } });
    for (let index = 0; index < 6; index += 1) expect((await read(agent.token, streamed)).status).toBe(200);
  });

  test('that leaves out the last blank line, or says nothing after [DONE], ends as it should', async () => {
    stream(...hello, usageEvent(11, 4), 'data: [DONE]\n');
    expect((await read(adminToken, streamed)).text).toBe([...hello, doneEvent, '\n'].join(''));
    provider.handle = (response) => void beginStream(response).write([...hello, doneEvent].join(''));
    expect((await read(adminToken, streamed)).text).toBe([...hello, doneEvent].join(''));
    stream(...hello);
    expect((await read(adminToken, streamed)).text).toBe(hello.join(''));
  });

  test('that holds nothing but its usage is a stream all the same', async () => {
    stream(usageEvent(4, 0), doneEvent);
    const { text, headers } = await read(adminToken, streamed);
    expect([headers.get('content-type'), text]).toEqual(['text/event-stream; charset=utf-8', doneEvent]);
  });

  test('whose early usage is overtaken by what came before it broke off is charged by the latter', async () => {
    const early = chunkEvent({ content: 'x'.repeat(90) }).replace(
      '"choices"',
      '"usage":{"prompt_tokens":9,"completion_tokens":1},"choices"',
    );
    stream(early, chunkEvent({ content: 'x'.repeat(60) }));
    const { decisionId } = await read(adminToken, streamed);
    expect(await rowOf(decisionId)).toMatchObject({ outcome: 'error', inputTokens: 9, outputTokens: 50, facts: { usage: 'estimated' } });
    stream(early, chunkEvent({}, 'stop'), doneEvent);
    expect(await rowOf((await read(adminToken, streamed)).decisionId)).toMatchObject({ outcome: 'ok', inputTokens: 9, outputTokens: 1 });
  });

  test('without usage is estimated by what came', async () => {
    stream(...hello, doneEvent);
    const { decisionId } = await read(adminToken, streamed);
    const outputTokens = Math.ceil(Buffer.byteLength('grüße 🎉 日本') / 3);
    expect(await rowOf(decisionId)).toMatchObject({
      inputTokens: promptTokens,
      outputTokens,
      costMicroUsd: promptTokens + outputTokens,
      facts: { usage: 'estimated' },
    });
  });

  test('of the model on this machine brings tool calls through unharmed', async () => {
    const { text, status } = await read(adminToken, { ...streamed, model: 'tiny' });
    expect(status).toBe(200);
    expect(text).toContain('"content":" second"');
    expect(text.endsWith(doneEvent)).toBe(true);
    expect(second.requests[0]).toMatchObject({ headers: { authorization: 'Bearer second-key' }, body: { model: 'here-model' } });
  });
});

describe('another route', () => {
  const answers: [string, (response: ServerResponse) => void][] = [
    ['answers 500', (response) => sendJson(response, 500, '{}')],
    ['answers 429', (response) => sendJson(response, 429, '{}', { 'retry-after': '9' })],
    ['breaks the connection', (response) => void response.socket?.resetAndDestroy()],
    ['does not answer in time', () => undefined],
  ];

  test.each(answers)('answers when the first one %s', async (_what, handle) => {
    provider.handle = handle;
    const agent = await models.addAgentWithToken();
    const { status, decisionId } = await read(agent.token, { ...chat, model: 'two' });
    expect(status).toBe(200);
    expect(await rowOf(decisionId)).toMatchObject({
      outcome: 'ok',
      inputTokens: 7,
      outputTokens: 3,
      facts: { routesFailed: 1, provider: 'second', providerModel: 'second-model' },
    });
    expect(await models.agent(agent.id)).toMatchObject({ steps: 1, tokens: 10 });
    expect(second.requests).toMatchObject([{ body: { model: 'second-model', max_tokens: 200 } }]);
  });

  test('answers when the two before it fail, the first of them because nobody listens there', async () => {
    provider.handle = (response) => sendJson(response, 503, '<html>busy</html>');
    const { status, decisionId } = await read(adminToken, { ...chat, model: 'three' });
    expect(status).toBe(200);
    expect(await rowOf(decisionId)).toMatchObject({ outcome: 'ok', facts: { routesFailed: 2, provider: 'here' } });
  });

  test('answers a stream that fails before its first token', async () => {
    for (const beginning of [
      '',
      doneEvent,
      `: wait\n\n${doneEvent}`,
      'data: {"error":{"message":"overloaded"}}\n\n',
      '<html>502</html>\n\n',
      'data: {"cut',
    ]) {
      stream(beginning);
      const { text } = await read(adminToken, { ...streamed, model: 'two' });
      expect(text, beginning).toContain('from');
      expect(text.endsWith(doneEvent)).toBe(true);
    }
    provider.handle = (response) => sendJson(response, 200, wholeAnswer());
    expect((await read(adminToken, { ...streamed, model: 'two' })).text).toContain('from');
    provider.handle = (response) => void beginStream(response).flushHeaders();
    expect((await read(adminToken, { ...streamed, model: 'two' })).text).toContain('from');
  });

  test('is not tried for a refusal, nor after the first token', async () => {
    provider.handle = (response) => sendJson(response, 401, '{}');
    expect((await read(adminToken, { ...chat, model: 'two' })).status).toBe(502);
    stream(hello[1] as string, 'data: {"error":{"message":"sk-1234567890 overloaded"}}\n\n', doneEvent);
    const { text } = await read(adminToken, { ...streamed, model: 'two' });
    expect(text.startsWith(hello[1] as string)).toBe(true);
    expect(lastError(text)).toMatchObject({ code: 'model_unavailable', type: 'server_error', message: expect.stringContaining('first') });
    expect(text).not.toMatch(/sk-1|DONE/);
    expect(second.requests).toHaveLength(0);
  });

  test('that is the last one and busy says when to come back', async () => {
    provider.handle = (response) => sendJson(response, 429, '{}', { 'retry-after': '9' });
    const { status, headers, text } = await read(adminToken, chat);
    expect({ status, retryAfter: headers.get('retry-after'), shouldRetry: headers.get('x-should-retry') }).toEqual({
      status: 503,
      retryAfter: '9',
      shouldRetry: 'true',
    });
    expect(JSON.parse(text).error.code).toBe('model_unavailable');
  });
});

describe('a stream that breaks after the first token', () => {
  const faults: [string, (response: ServerResponse) => void][] = [
    ['by a cut connection', (response) => response.write(hello[1], () => setImmediate(() => response.socket?.resetAndDestroy()))],
    ['in the middle of an event', (response) => void response.end(`${hello[1]}data: {"choices":[{"del`)],
    ['by an early end', (response) => void response.end(hello[1])],
    ['by garbage', (response) => void response.end(`${hello[1]}data: not json\n\n`)],
    ['by silence', (response) => void response.write(hello[1])],
    ['by an event without end', (response) => void response.write(hello[1], () => response.end(Buffer.alloc(17 * 1024 * 1024, 'x')))],
  ];

  test.each(faults)('%s ends with an error event, and what came is charged', async (_what, fault) => {
    provider.handle = (response) => fault(beginStream(response));
    const agent = await models.addAgentWithToken();
    const { status, text } = await read(agent.token, streamed);
    expect(status).toBe(200);
    expect(text.startsWith(hello[1] as string)).toBe(true);
    expect(text.slice((hello[1] as string).length)).toMatch(/^data: \{"error":.*\}\n\n$/);
    expect(lastError(text)).toMatchObject({ code: 'model_unavailable', decision_id: expect.any(String) });
    const outputTokens = Math.ceil(Buffer.byteLength('grüße 🎉') / 3);
    expect(await rowOfAgent(agent.id)).toMatchObject({
      kind: 'call',
      outcome: 'error',
      errorCode: 'model_unavailable',
      outputTokens,
      facts: { usage: 'estimated' },
    });
    expect(await models.agent(agent.id)).toMatchObject({ tokens: promptTokens + outputTokens });
  });
});

describe('a caller that leaves', () => {
  const leaveDuring = async (body: object, handle: (response: ServerResponse, reached: () => void) => void) => {
    const reached = gate();
    const left = gate();
    provider.handle = (response) => {
      response.once('close', left.open);
      handle(response, reached.open);
    };
    const agent = await models.addAgentWithToken();
    const abort = new AbortController();
    const answer = post(agent.token, body, abort.signal, { 'idempotency-key': 'left' })
      .then((response) => response.text())
      .catch(() => 'left');
    await reached.opened;
    abort.abort();
    await Promise.all([answer, left.opened]);
    const row = await rowOfAgent(agent.id);
    expect(row).toMatchObject({ kind: 'call', outcome: 'cancelled', errorCode: null, facts: { usage: 'estimated' } });
    return { row, agent };
  };

  test('before the answer has begun ends the call at the provider, and pays for the prompt', async () => {
    const { row, agent } = await leaveDuring(chat, (_response, reached) => reached());
    expect(row).toMatchObject({ inputTokens: promptTokens, outputTokens: 0 });
    expect(await models.agent(agent.id)).toMatchObject({ tokens: promptTokens, steps: 1 });
    // the same operation can be tried again at once
    provider.handle = (response) => sendJson(response, 200, wholeAnswer());
    expect((await post(agent.token, chat, undefined, { 'idempotency-key': 'left' })).status).toBe(200);
    expect(await models.agent(agent.id)).toMatchObject({ tokens: promptTokens + 15, steps: 1 });
  });

  test('in the middle of an answer in one piece does the same', async () => {
    const { row } = await leaveDuring(chat, (response, reached) =>
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"choices":', reached),
    );
    expect(row.inputTokens).toBe(promptTokens);
  });

  test('in the middle of a stream pays for what was streamed', async () => {
    const agent = await models.addAgentWithToken();
    const left = gate();
    provider.handle = (response) => {
      response.once('close', left.open);
      beginStream(response).write(hello[1]);
    };
    const abort = new AbortController();
    const response = await post(agent.token, streamed, abort.signal);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const at = performance.now();
    abort.abort();
    await left.opened;
    expect(performance.now() - at).toBeLessThan(900); // before the provider's own deadline
    const outputTokens = Math.ceil(Buffer.byteLength('grüße 🎉') / 3);
    expect(await rowOfAgent(agent.id)).toMatchObject({ outcome: 'cancelled', outputTokens });
    expect(await models.agent(agent.id)).toMatchObject({ tokens: promptTokens + outputTokens });
  });

  test('while it is still sending its request costs nothing', async () => {
    const agent = await models.addAgentWithToken();
    const { context } = models;
    const { authenticate } = context;
    const known = gate();
    context.authenticate = async (...given) => Promise.resolve(authenticate(...given)).finally(known.open);
    const request = httpRequest(`${models.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${agent.token}`, 'content-length': 1000 },
    });
    request.on('error', () => undefined).write('{"model":');
    await known.opened;
    context.authenticate = authenticate;
    request.destroy();
    expect(await rowOfAgent(agent.id)).toMatchObject({ outcome: 'cancelled', inputTokens: null });
    expect(await models.agent(agent.id)).toMatchObject({ tokens: 0, steps: 0 });
    expect(provider.requests).toHaveLength(0);
  });
});

describe('a caller that reads slowly', () => {
  const event = chunkEvent({ content: 'x'.repeat(16_000) });
  /** Sends `count` events as fast as they are taken. */
  const flood = (count: number) => {
    const state = { sent: 0, closed: gate() };
    provider.handle = async (response) => {
      beginStream(response).once('close', state.closed.open);
      for (; state.sent < count && !response.destroyed; state.sent += 1)
        if (!response.write(event)) await Promise.race([once(response, 'drain'), state.closed.opened]);
      if (!response.destroyed) response.end(chunkEvent({}, 'stop') + usageEvent(5, 6) + doneEvent);
    };
    return state;
  };
  const open = async (): Promise<IncomingMessage> => {
    const request = httpRequest(`${models.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${adminToken}` },
    });
    request.on('error', () => undefined).end(JSON.stringify(streamed));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response.on('error', () => undefined);
  };

  test('slows the provider down instead of filling the memory, and gets everything', async () => {
    const count = 4000; // 64 MB
    const state = flood(count);
    const response = await open();
    let last = -1;
    await pollUntil(() => {
      const stands = state.sent === last;
      last = state.sent;
      return stands && state.sent > 0 ? true : undefined;
    }, 'the provider to be held up');
    expect(state.sent).toBeLessThan(count / 2);
    let bytes = 0;
    let end = '';
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      end = (end + part.toString('latin1')).slice(-doneEvent.length);
    }
    expect(end).toBe(doneEvent);
    expect(bytes).toBe(count * event.length + (chunkEvent({}, 'stop') + doneEvent).length);
  });

  test('and stops altogether is given up, and the provider’s stream with it', async () => {
    const state = flood(1_000_000);
    const response = await open();
    await state.closed.opened;
    response.destroy();
    expect(await models.auditRow((row) => row.outcome === 'cancelled' && row.person === 'admin' && row.agent === null)).toMatchObject({
      facts: { streamed: true },
    });
  });
});

test('a cost that cannot be put down because the database is away is put down when it is back', async () => {
  const { database } = models.context;
  const transaction = database.transaction;
  let failures = 0;
  provider.handle = (response) => {
    database.transaction = () => {
      failures += 1;
      if (failures === 2) database.transaction = transaction;
      return Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
    };
    sendJson(response, 200, wholeAnswer());
  };
  const agent = await models.addAgentWithToken();
  expect((await read(agent.token, chat)).status).toBe(200);
  await pollUntil(async () => ((await models.agent(agent.id)).tokens === 15 ? true : undefined), 'the cost');
  expect(failures).toBe(2);
});

test('the gateway serves it under /v1 of its own address', async () => {
  provider.handle = (response) => sendJson(response, 200, wholeAnswer('mounted'));
  const agent = await models.addAgentWithToken();
  const answer = await pollUntil(async () => {
    const response = await fetch(`${models.publicUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${agent.token}` },
      body: JSON.stringify(chat),
    });
    return response.status === 200 ? response.text() : undefined;
  }, 'the declared resources to be in force');
  expect(answer).toBe(wholeAnswer('mounted'));
  expect((await fetch(`${models.publicUrl}/.well-known/oauth-protected-resource/v1`)).status).toBe(200);
});
