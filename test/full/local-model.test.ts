import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelEngine } from '../../runtime/local-model/generation.ts';
import { installLocalModel } from '../../runtime/local-model/install-local-model.ts';
import { createLazyEngine } from '../../runtime/local-model/lazy-engine.ts';
import { isLocalModelInstalled } from '../../runtime/local-model/model-release.ts';
import { startLocalModel } from '../../runtime/local-model/start-local-model.ts';
import { startModelProcess } from '../../runtime/local-model/start-model-process.ts';

test('installs model and library into an empty cache', { timeout: 600_000 }, async () => {
  const cacheDirectory = await mkdtemp(join(tmpdir(), 'local-model-full-'));
  try {
    const lines: string[] = [];
    await installLocalModel({ cacheDirectory, environment: {}, onProgress: (line) => lines.push(line) });
    expect(await isLocalModelInstalled(cacheDirectory)).toBe(true);
    expect(lines[0]).toContain('SmolLM2-135M-Instruct (Apache-2.0), 93 MB');
    expect((await readdir(cacheDirectory)).length).toBe(2);
  } finally {
    await rm(cacheDirectory, { recursive: true });
  }
});

describe('the tiny model', () => {
  const paths = Array.from({ length: 300 }, (_, at) => `/input/src/a/folder/with/a/rather/long/name/${at % 7}/and/file-${at}.ts`);
  let url: string;
  let engine: ModelEngine;
  let letGo: (() => void) | undefined;
  /** How many answers the model has begun. */
  let generations = 0;
  let close: () => Promise<void>;

  beforeAll(async () => {
    const cacheDirectory = join(homedir(), '.cache', 'quarterdeck');
    const { modelPath, packageDirectory } = await installLocalModel({ cacheDirectory, environment: {}, onProgress: () => {} });
    engine = createLazyEngine({
      load: async () => {
        const model = await startModelProcess({ modelPath, packageDirectory, contextTokens: 4096 });
        const generate: typeof model.generate = (request, options) => {
          generations += 1;
          return model.generate(request, options);
        };
        return { ...model, generate };
      },
      timers: {
        setTimeout: (callback) => {
          letGo = callback;
        },
        clearTimeout: () => {
          letGo = undefined;
        },
      },
    });
    const server = await startLocalModel({ port: 0, key: 'k', cacheDirectory }, { engine, logger: pino({ level: 'silent' }) });
    url = `http://127.0.0.1:${server.port}`;
    close = server.close;
  });
  afterAll(() => close());

  const post = (body: object, signal?: AbortSignal) =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      signal,
      headers: { authorization: 'Bearer k' },
      body: JSON.stringify({ model: 'smollm2-135m-instruct', max_tokens: 60, ...body }),
    });
  // biome-ignore lint/suspicious/noExplicitAny: the wire's own shape
  const ask = async (content: string, body: object = {}): Promise<any> => {
    const response = await post({
      messages: [
        { role: 'system', content: 'You are a helpful assistant.' },
        { role: 'user', content },
      ],
      ...body,
    });
    expect(response.status, JSON.stringify(await response.clone().json())).toBe(200);
    return response.json();
  };
  const constrained = (schema: object) => ({ response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } } });
  const modelProcesses = (): number[] =>
    execFileSync('ps', ['-eo', 'pid,ppid,args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes('runtime/local-model/model-process.ts') && Number(line.trim().split(/\s+/)[1]) === process.pid)
      .map((line) => Number(line.trim().split(/\s+/)[0]));

  test('speaks English, and counts its tokens', async () => {
    const { choices, usage } = await ask('What is the capital of France?');
    expect(choices[0]).toMatchObject({ message: { content: 'The capital of France is Paris.' }, finish_reason: 'stop' });
    expect(usage).toEqual({ prompt_tokens: 27, completion_tokens: 7, total_tokens: 34 });
  });

  test('gives the same answer again at temperature 0, and with the same seed above', async () => {
    const text = async (body: object): Promise<string> => (await ask('Write a line about the sea.', body)).choices[0].message.content;
    expect(await text({})).toBe(await text({}));
    const seeded = await text({ temperature: 1, seed: 7 });
    expect(await text({ temperature: 1, seed: 7 })).toBe(seeded);
    expect(await text({ temperature: 1, seed: 8 })).not.toBe(seeded);
  });

  /** At temperature 2 the model writes whatever the grammar lets it. */
  const schemas: Record<string, object> = {
    card: {
      type: 'object',
      properties: {
        purpose: { type: 'string', minLength: 10, maxLength: 60 },
        kind: { enum: ['code', 'test', 'docs'] },
        risk: { type: ['string', 'null'], maxLength: 20 },
        todos: { type: 'array', items: { type: 'string', maxLength: 20 }, maxItems: 3 },
        confidence: { type: 'number', minimum: 0, maximum: 1 },
        lines: { type: 'integer', minimum: 10, maximum: 1234 },
      },
      required: ['purpose', 'kind', 'todos', 'confidence'],
      additionalProperties: false,
    },
    'paths of 300': { type: 'array', items: { enum: paths }, minItems: 2, maxItems: 3 },
    'an exact string': { type: 'string', minLength: 25, maxLength: 25 },
    'a tuple': {
      type: 'array',
      prefixItems: [{ type: 'integer' }, { type: 'boolean' }, { const: 'x' }],
      items: { type: 'null' },
      minItems: 2,
      maxItems: 5,
    },
    'one of two calls': {
      oneOf: [
        {
          type: 'object',
          properties: { tool: { const: 'read' }, path: { enum: paths } },
          required: ['tool', 'path'],
          additionalProperties: false,
        },
        { type: 'object', properties: { answer: { type: 'string', maxLength: 30 } }, required: ['answer'], additionalProperties: false },
      ],
    },
    'only optional properties': {
      type: 'object',
      properties: { a: { type: 'null' }, b: { type: 'boolean' }, c: { const: 3 } },
      additionalProperties: false,
    },
  };

  test.for(Object.entries(schemas))('keeps to a schema, compact, whatever the temperature: %s', async ([, schema]) => {
    const validate = new Ajv2020({ strict: false, allowUnionTypes: true }).compile(schema);
    for (const [temperature, seed] of [
      [0, 0],
      [0.7, 1],
      [2, 2],
      [2, 3],
      [2, 4],
      [2, 5],
    ] as const) {
      const { choices } = await ask('Describe something.', { ...constrained(schema), temperature, seed, max_tokens: 400 });
      const { content } = choices[0].message;
      expect(choices[0].finish_reason, content).toBe('stop');
      const value = JSON.parse(content);
      expect(validate(value), `${content}: ${JSON.stringify(validate.errors)}`).toBe(true);
      expect(content.length).toBe(JSON.stringify(value).length);
    }
  });

  test('says that constrained JSON is cut at the limit', async () => {
    const schema = { type: 'object', properties: { text: { type: 'string', minLength: 300 } }, required: ['text'] };
    const { choices, usage } = await ask('Tell a story.', { ...constrained(schema), max_tokens: 12 });
    expect([choices[0].finish_reason, usage.completion_tokens]).toEqual(['length', 12]);
    expect(() => JSON.parse(choices[0].message.content)).toThrow();
  });

  test('streams the very answer that it gives in one piece', async () => {
    const body = { messages: [{ role: 'user', content: 'Greet the world in French, with an accent: é.' }], max_tokens: 40 };
    const whole = (await (await post(body)).json()) as { choices: [{ message: { content: string } }]; usage: object };
    const events = (await (await post({ ...body, stream: true })).text())
      .split('\n\n')
      .filter(Boolean)
      .map((event) => event.slice('data: '.length));
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data));
    expect(events.at(-1)).toBe('[DONE]');
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0].message.content);
    expect(chunks.at(-1).usage).toEqual(whole.usage);
  });

  test('refuses a prompt over its context and names both numbers', async () => {
    const response = await post({ messages: [{ role: 'user', content: 'far too long '.repeat(3_000) }] });
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: { code: 'context_length_exceeded', message: expect.stringMatching(/has \d{4,5} tokens .* 4096 \(n_ctx\)/) } },
    ]);
  });

  test('is free again soon after a caller left', async () => {
    const before = generations;
    const caller = new AbortController();
    const messages = [{ role: 'user', content: `${'A long tale. '.repeat(800)} Go on.` }];
    const answer = post({ messages, max_tokens: 1_500, stream: true }, caller.signal).then((response) => response.text());
    await expect.poll(() => generations).toBe(before + 1);
    caller.abort();
    await expect(answer).rejects.toThrow();
    const startedAt = performance.now();
    await ask('What is the capital of France?');
    expect(performance.now() - startedAt).toBeLessThan(5_000); // The tale alone takes eight seconds to read and thirty to continue.
  });

  test('comes back after its process was killed', async () => {
    const slow = ask('Count to a hundred.', { ...constrained({ type: 'string', minLength: 900, maxLength: 900 }), max_tokens: 900 }).catch(
      (error) => error,
    );
    await expect.poll(modelProcesses).toHaveLength(1);
    process.kill(modelProcesses()[0] as number, 'SIGKILL');
    expect(String(await slow)).toContain('model_unavailable');
    expect((await ask('What is the capital of France?')).choices[0].message.content).toContain('Paris');
  });

  test('gives its memory back when nobody asks for a while', async () => {
    await ask('What is the capital of France?');
    expect([engine.isLoaded, modelProcesses().length]).toEqual([true, 1]);
    letGo?.();
    await expect.poll(modelProcesses).toEqual([]);
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok', installed: true, loaded: false });
  });
});
