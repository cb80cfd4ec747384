import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Generation, GenerationOptions, GenerationRequest, ModelEngine } from '../../runtime/local-model/generation.ts';
import { OpenAiError } from '../../runtime/local-model/openai-error.ts';
import { startLocalModel } from '../../runtime/local-model/start-local-model.ts';
import { PlatformError } from '../../schema/errors.ts';

const model = 'smollm2-135m-instruct';
const messages = [{ role: 'user', content: 'hello' }];
const generation: Generation = { text: 'Hello there', finishReason: 'stop', promptTokens: 9, completionTokens: 3 };

type Answer = (request: GenerationRequest, options: GenerationOptions) => Promise<Generation>;
const inPieces: Answer = async (_, { onText }) => {
  for (const piece of ['Hello', ' there']) onText(piece);
  return generation;
};

/** The server over a model that the test plays. */
const start = async (answer: Answer = inPieces, isInstalled?: () => Promise<boolean>) => {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'local-model-server-'));
  const asked: GenerationRequest[] = [];
  const engine: ModelEngine = {
    isLoaded: false,
    generate: (request, options) => {
      asked.push(request);
      return answer(request, options);
    },
    close: async () => {},
  };
  const logger = pino({ level: 'silent' });
  const server = await startLocalModel(
    { port: 0, key: 'k', cacheDirectory },
    { engine, logger, isInstalled: isInstalled ?? (async () => true) },
  );
  onTestFinished(async () => {
    await server.close();
    await rm(cacheDirectory, { recursive: true });
  });
  const url = `http://127.0.0.1:${server.port}`;
  const headers = { authorization: 'Bearer k' };
  const ask = (body: object | string, init: RequestInit = {}) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify({ model, messages, ...body }),
      ...init,
    });
  return { ask, asked, url, headers, port: server.port };
};

describe('the server of the local model', () => {
  test('answers in one piece with its usage', async () => {
    const { ask, asked } = await start();
    const response = await ask({ max_tokens: 50, temperature: 0.7, top_p: 0.9, seed: 3 });
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        id: expect.stringMatching(/^chatcmpl-/),
        object: 'chat.completion',
        created: expect.any(Number),
        model,
        choices: [
          { index: 0, message: { role: 'assistant', content: 'Hello there', refusal: null }, logprobs: null, finish_reason: 'stop' },
        ],
        usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
      },
    ]);
    expect(asked).toEqual([{ messages, maxTokens: 50, temperature: 0.7, topP: 0.9, seed: 3 }]);
  });

  test('streams its answer, and its usage at the end', async () => {
    const { ask } = await start();
    const response = await ask({ stream: true });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const events = (await response.text())
      .split('\n\n')
      .filter(Boolean)
      .map((event) => event.replace('data: ', ''));
    expect(events.pop()).toBe('[DONE]');
    const chunks = events.map((data) => JSON.parse(data));
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([
      { role: 'assistant', content: '' },
      { content: 'Hello' },
      { content: ' there' },
      {},
      undefined,
    ]);
    expect(chunks.at(-2).choices[0].finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test('says when an answer is cut, and how many tokens are usual', async () => {
    const { ask, asked } = await start(async () => ({ ...generation, finishReason: 'length' }));
    expect(await (await ask({ max_completion_tokens: 3, max_tokens: 9 })).json()).toMatchObject({ choices: [{ finish_reason: 'length' }] });
    await ask({});
    expect(asked.map(({ maxTokens, temperature }) => [maxTokens, temperature])).toEqual([
      [3, 0],
      [512, 0],
    ]);
  });

  test('turns a schema into a grammar, and reads contents in parts', async () => {
    const { ask, asked } = await start();
    const schema = { type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'] };
    const parts = [
      {
        role: 'developer',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      ...messages,
    ];
    expect(
      (await ask({ messages: parts, response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } } })).status,
    ).toBe(200);
    expect(asked[0]?.messages[0]).toEqual({ role: 'system', content: 'ab' });
    expect(asked[0]?.grammar).toMatch(/root ::= .*\n.*"\{" "\\"ok\\":"/s);
    await ask({ response_format: { type: 'text' } });
    expect(asked[1]).not.toHaveProperty('grammar');
  });

  test.for<[object | string, number, string, string | null, RegExp]>([
    [
      { tools: [{ type: 'function', function: { name: 'read' } }] },
      400,
      'unsupported_parameter',
      'tools',
      /Ask for the call as JSON by response_format/,
    ],
    [{ tool_choice: 'required' }, 400, 'unsupported_parameter', 'tool_choice', /tool_choice/],
    [{ n: 2 }, 400, 'unsupported_parameter', 'n', /"n"/],
    [{ stop: ['x'] }, 400, 'unsupported_parameter', 'stop', /Leave it out/],
    [{ logprobs: true }, 400, 'unsupported_parameter', 'logprobs', /logprobs/],
    [{ response_format: { type: 'json_object' } }, 400, 'invalid_request', 'response_format.type', /json_schema/],
    [
      { response_format: { type: 'json_schema', json_schema: { name: 'x' } } },
      400,
      'invalid_request',
      'response_format.json_schema.schema',
      /expected object/,
    ],
    [
      {
        response_format: {
          type: 'json_schema',
          json_schema: { schema: { type: 'object', properties: { a: { type: 'string', pattern: 'x' } } } },
        },
      },
      400,
      'unsupported_schema',
      'response_format.json_schema.schema',
      /at \/properties\/a: the keyword "pattern"/,
    ],
    [{ model: 'gpt-9' }, 404, 'model_not_found', 'model', /"gpt-9" here; the local model is "smollm2-135m-instruct"/],
    [{ messages: [] }, 400, 'invalid_request', 'messages', /messages/],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 400, 'invalid_request', 'messages.0.role', /role/],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }] },
      400,
      'invalid_request',
      'messages.0.content',
      /content/,
    ],
    [{ temperature: 3 }, 400, 'invalid_request', 'temperature', /temperature/],
    [{ max_tokens: 0 }, 400, 'invalid_request', 'max_tokens', /max_tokens/],
    ['[]', 400, 'invalid_request', null, /The body/],
    ['{"model"', 400, 'input_invalid', null, /not JSON/],
    [JSON.stringify({ model, messages: [{ role: 'user', content: 'x'.repeat(5_000_000) }] }), 413, 'request_too_large', null, /4 MiB/],
  ])('refuses what it cannot follow: %#', async ([body, status, code, param, message]) => {
    const { ask, asked } = await start();
    const response = await ask(body);
    expect([response.status, await response.json()]).toEqual([
      status,
      { error: { code, param, type: 'invalid_request_error', message: expect.stringMatching(message) } },
    ]);
    expect(asked).toEqual([]);
  });

  test('takes parameters that change nothing', async () => {
    const { ask } = await start();
    const harmless = {
      tools: [],
      tool_choice: 'auto',
      n: 1,
      stop: null,
      frequency_penalty: 0,
      logit_bias: {},
      user: 'u',
      store: false,
      stream_options: { include_usage: true },
    };
    expect((await ask(harmless)).status).toBe(200);
  });

  test('names the command when the model is not installed', async () => {
    const { ask, url } = await start(inPieces, undefined);
    expect((await ask({})).status).toBe(200);
    const missing = await start(inPieces, async () => false);
    const response = await missing.ask({});
    expect([response.status, await response.json()]).toEqual([
      503,
      {
        error: {
          code: 'model_unavailable',
          param: null,
          type: 'server_error',
          message: expect.stringContaining('quarterdeck model install tiny'),
        },
      },
    ]);
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok', installed: true, loaded: false });
    expect(await (await fetch(`${missing.url}/healthz`)).json()).toEqual({ status: 'ok', installed: false, loaded: false });
  });

  test('lists its one model, and knows no other address', async () => {
    const { url, headers } = await start();
    expect(await (await fetch(`${url}/v1/models`, { headers })).json()).toMatchObject({
      object: 'list',
      data: [{ id: model, object: 'model', context_length: 4096 }],
    });
    expect((await fetch(`${url}/v1/embeddings`, { method: 'POST', headers })).status).toBe(404);
  });

  test('asks for the internal key, and for its own name', async () => {
    const { url, ask, asked, port } = await start();
    expect((await ask({}, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
    expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({ error: { code: 'not_authenticated' } });
    const status = await new Promise((resolve) => {
      httpRequest({ port, path: '/healthz', headers: { host: 'rebound.example' } }, (response) =>
        resolve(response.resume().statusCode),
      ).end();
    });
    expect([status, asked]).toEqual([403, []]);
  });

  test('passes on refusals of the model, with the time to wait', async () => {
    const errors = [
      new OpenAiError(429, 'rate_limit_exceeded', 'too many', { retryAfterSeconds: 15 }),
      new OpenAiError(400, 'context_length_exceeded', 'too long', { param: 'messages' }),
      new PlatformError('model_unavailable', 'it crashed'),
      new Error('a secret inside'),
    ];
    const { ask } = await start(async () => {
      throw errors.shift();
    });
    const limited = await ask({ stream: true });
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '15']);
    expect(await (await ask({})).json()).toMatchObject({ error: { code: 'context_length_exceeded', param: 'messages' } });
    expect((await ask({})).status).toBe(503);
    const hidden = await ask({});
    expect([hidden.status, await hidden.text()]).toEqual([500, expect.not.stringMatching(/secret/)]);
  });

  test('ends a stream that fails half-way with an error event and without the end mark', async () => {
    const { ask } = await start(async (_, { onText }) => {
      onText('Hel');
      throw new PlatformError('model_unavailable', 'it crashed');
    });
    const text = await (await ask({ stream: true })).text();
    expect(text).toContain('"code":"model_unavailable"');
    expect(text).not.toContain('[DONE]');
  });

  test.for([false, true])('stops the generation when the caller leaves, streamed: %s', async (stream) => {
    const stopped = Promise.withResolvers<void>();
    const { ask, asked } = await start((_, { signal, onText }) => {
      onText('Hel');
      return new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => {
          stopped.resolve();
          reject(signal.reason);
        }),
      );
    });
    const caller = new AbortController();
    const answer = ask({ stream }, { signal: caller.signal }).then((response) => response.text());
    await expect.poll(() => asked.length).toBe(1);
    caller.abort();
    await expect(answer).rejects.toThrow();
    await stopped.promise;
  });

  test('says which port is taken', async () => {
    const { port } = await start();
    await expect(startLocalModel({ port, key: 'k', cacheDirectory: tmpdir() })).rejects.toThrow(
      expect.objectContaining({ code: 'port_taken' }),
    );
  });
});
