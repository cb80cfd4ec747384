import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { outputLimits, parseChatRequest, worstOutputTokens } from '../../gateway/llm/chat-request.ts';
import { estimatePromptTokens } from '../../gateway/llm/estimate-tokens.ts';
import { providerBody, providerTarget } from '../../gateway/llm/provider-request.ts';
import { scanJson, withMembers } from '../../gateway/llm/scan-json.ts';
import type { StoredResource } from '../../schema/resource.ts';

const message = { role: 'user', content: 'hello' };
const parse = (body: unknown) => parseChatRequest(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
const refusal = (body: unknown): string => {
  try {
    parse(body);
  } catch (error) {
    expect(error).toMatchObject({ code: 'request_invalid' });
    expect((error as Error).cause).toBeUndefined();
    return (error as Error).message;
  }
  throw new Error('not refused');
};

describe('a scan of JSON', () => {
  const members = (text: string) => {
    const scan = scanJson(text);
    return scan.ok ? scan.members.map(({ name, start, end }) => [name, text.slice(start, end)]) : scan.reason;
  };

  test('finds each member of the outermost object with exactly the bytes of its value, in any layout', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1, noNullPrototype: true }),
        fc.constantFrom(0, 1, '\t', ' \r\n'),
        (value, indent) => {
          const text = ` ${JSON.stringify(value, null, indent)}\n`;
          const found = members(text) as [string, string][];
          expect(found.map(([name, part]) => [name, JSON.parse(part)])).toEqual(Object.entries(JSON.parse(text) as object));
          for (const [, part] of found) expect(part).toBe(part.trim());
        },
      ),
    );
  });

  test('replaces and adds members so that a parser reads the new values and everything else as before', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1, noNullPrototype: true }),
        fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
        fc.nat(),
        (value, added, chosen) => {
          const text = JSON.stringify(value, null, 1);
          const scan = scanJson(text);
          if (!scan.ok) throw new Error(scan.reason);
          const name = Object.keys(value)[chosen % Object.keys(value).length] as string;
          const values = { ...added, [name]: 'new' };
          const changed = withMembers(
            text,
            scan.members,
            new Map(Object.entries(values).map(([key, inner]) => [key, JSON.stringify(inner)])),
          );
          // by way of text, as a parser has it: -0 becomes 0
          expect(JSON.parse(changed)).toEqual(JSON.parse(JSON.stringify({ ...value, ...values })));
        },
      ),
    );
  });

  test('refuses a key that occurs twice in one object, at any depth and in any spelling', () => {
    for (const text of [
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      '{"b":[{"c":{"a":1,"x":[],"a":1}}]}',
      '{"":1,"":1}',
      '{"__proto__":1,"__proto__":2}',
    ])
      expect(members(text), text).toMatch(/occurs twice/);
    expect(members('{"a":{"a":"\\"a\\":"},"b":["a","a"],"c":[{"a":1},{"a":1}]}')).toHaveLength(3);
  });

  test('refuses what is nested deeper than 64 levels and takes 64', () => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    expect(members(nested(64))).toHaveLength(1);
    expect(members(nested(65))).toMatch(/deeper than 64/);
    expect(refusal(`{"model":"m","messages":${'['.repeat(500_000)}${']'.repeat(500_000)}}`)).toMatch(/deeper than 64/);
  });
});

describe('a chat request', () => {
  test('is refused with a sentence where it is broken, and the sentence holds nothing of it', () => {
    const cases: [string | object, RegExp][] = [
      ['{"model":"secret-stuff', /not JSON/],
      ['', /not JSON/],
      ['[]', /not a JSON object/],
      ['null', /not a JSON object/],
      ['\ufeff{}', /not JSON/],
      [{}, /^model: /],
      [{ model: 7, messages: [message] }, /^model: /],
      [{ model: 'm', messages: [] }, /^messages: /],
      [{ model: 'm', messages: 'secret-stuff' }, /^messages: /],
      [{ model: 'm', messages: [{ content: 'secret-stuff' }] }, /^messages\.0\.role: /],
      [{ model: 'm', messages: [message], stream: 'yes' }, /^stream: /],
      [{ model: 'm', messages: [message], max_tokens: 0 }, /^max_tokens: /],
      ['{"model":"m","messages":[{"role":"user"}],"max_tokens":1e400}', /^max_tokens: /],
      [{ model: 'm', messages: [message], max_completion_tokens: 1.5 }, /^max_completion_tokens: /],
      [{ model: 'm', messages: [message], n: 100_000 }, /^n: /],
      ['{"model":"m","model":"n","messages":[]}', /"model" occurs twice/],
    ];
    for (const [body, expected] of cases) {
      expect(refusal(body), JSON.stringify(body)).toMatch(expected);
      expect(refusal(body)).not.toContain('secret-stuff');
    }
    expect(() => parseChatRequest(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toThrow(/not UTF-8/);
  });

  test('is refused by name where it keeps state at the provider, chooses another model or runs a tool over there', () => {
    const fields = {
      store: true,
      previous_response_id: 'resp_1',
      metadata: { a: 'b' },
      conversation: 'c',
      background: true,
      models: ['dearer'],
      fallbacks: ['x'],
      api_base: 'http://elsewhere',
      api_key: 'k',
      web_search_options: { a: 1 },
    };
    for (const [field, value] of Object.entries(fields))
      expect(refusal({ model: 'm', messages: [message], [field]: value })).toContain(`\`${field}\``);
    expect(refusal({ model: 'm', messages: [message], tools: [{ type: 'web_search' }] })).toContain('`tools`');
    for (const harmless of [
      { store: false },
      { store: null },
      { metadata: {} },
      { previous_response_id: null },
      { tools: [{ type: 'function', function: { name: 'f' } }] },
      { temperature: 0.2, seed: 3, vendor_field: { deep: [1] } },
    ])
      expect(() => parse({ model: 'm', messages: [message], ...harmless })).not.toThrow();
  });

  test('is refused where another spelling of a field would reach a parser that does not look at case', () => {
    for (const field of ['Model', 'MAX_TOKENS', 'ſtore', 'ſtream', 'max_toKens', 'N'])
      expect(refusal({ model: 'm', messages: [message], [field]: 1 })).toContain('write it');
    expect(() => parse({ model: 'm', messages: [message], topK: 3 })).not.toThrow();
  });

  test('bounds its answer by the smaller of what it asks and what the model gives, whichever field it uses', () => {
    const limits = (fields: object) => {
      const chat = parse({ model: 'm', messages: [message], ...fields });
      return { limits: Object.fromEntries(outputLimits(chat, 100)), worst: worstOutputTokens(chat, 100) };
    };
    expect(limits({})).toEqual({ limits: { max_tokens: 100 }, worst: 100 });
    expect(limits({ max_tokens: null })).toEqual({ limits: { max_tokens: 100 }, worst: 100 });
    expect(limits({ max_tokens: 30 })).toEqual({ limits: { max_tokens: 30 }, worst: 30 });
    expect(limits({ max_tokens: 5000 })).toEqual({ limits: { max_tokens: 100 }, worst: 100 });
    expect(limits({ max_completion_tokens: 5000 })).toEqual({ limits: { max_completion_tokens: 100 }, worst: 100 });
    expect(limits({ max_tokens: 10, max_completion_tokens: 40, n: 3 })).toEqual({
      limits: { max_tokens: 10, max_completion_tokens: 40 },
      worst: 120,
    });
  });

  test('counts three bytes of text and schema as a token, images by number and never by their bytes', () => {
    const tokens = (fields: object) => estimatePromptTokens({ messages: [], ...fields });
    expect(tokens({ messages: [{ role: 'user', content: 'x'.repeat(300) }] })).toBe(104);
    expect(tokens({ messages: [{ role: 'user', content: [{ type: 'text', text: 'ü'.repeat(30) }] }] })).toBe(24);
    expect(
      tokens({
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(900_000)}` } }] }],
      }),
    ).toBe(2004);
    const schema = { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' } } };
    expect(tokens({ response_format: schema })).toBe(Math.ceil(JSON.stringify(schema).length / 3));
    expect(
      tokens({
        messages: [
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: 'y'.repeat(58) } }],
          },
        ],
      }),
    ).toBe(24);
  });
});

describe('what a provider gets', () => {
  const spec = {
    maxOutputTokens: 100,
    temperature: 0.5,
    routes: [{ provider: 'p', model: 'their "model"' }],
  } as unknown as StoredResource<'Model'>['spec'];
  const bodyFor = (text: string, changed = spec) => providerBody(parse(text), changed.routes[0] as (typeof spec.routes)[number], changed);

  test('is the body as it came, with the name of the model in its place and nothing moved', () => {
    const text =
      '{ "seed" : 1.0, "model":"alias" ,"messages":[{"role":"user","content":"\\u00e4\\/ 1e2"}],"max_tokens":7,"temperature":0, "x":1.50 }';
    expect(bodyFor(text)).toBe(text.replace('"alias"', '"their \\"model\\""'));
  });

  test('has the bound of the answer, the temperature of the model and the usage of a stream added where they are missing', () => {
    expect(bodyFor('{"model":"a","messages":[{"role":"user"}],"stream":true}')).toBe(
      '{"model":"their \\"model\\"","messages":[{"role":"user"}],"stream":true,"max_tokens":100,"temperature":0.5,"stream_options":{"include_usage":true}}',
    );
    expect(
      bodyFor(
        '{"model":"a","messages":[{"role":"user"}],"stream":true,"max_tokens":900,"temperature":null,"stream_options":{"include_usage":false,"x":1}}',
      ),
    ).toBe(
      '{"model":"their \\"model\\"","messages":[{"role":"user"}],"stream":true,"max_tokens":100,"temperature":0.5,"stream_options":{"include_usage":true,"x":1}}',
    );
    expect(bodyFor('{"model":"a","messages":[{"role":"user"}],"max_tokens":9}', { ...spec, temperature: undefined })).toBe(
      '{"model":"their \\"model\\"","messages":[{"role":"user"}],"max_tokens":9}',
    );
  });

  test('goes to the address below the base address, whose path and query stay', async () => {
    const target = (providerSpec: object) =>
      providerTarget(
        { metadata: { name: 'p' }, spec: { timeoutSeconds: 3, ...providerSpec } } as StoredResource<'Provider'>,
        { localModelUrl: 'http://127.0.0.1:7424', localModelKey: 'local-key' },
        {
          environment: { KEY: 'k-1', BROKEN: 'a\nb' },
        },
      );
    expect(await target({ kind: 'openai-compatible', baseUrl: 'https://host/v1/' })).toEqual({
      name: 'p',
      url: 'https://host/v1/chat/completions',
      key: undefined,
      timeoutMs: 3000,
    });
    expect(await target({ kind: 'openai-compatible', baseUrl: 'https://host/x?api-version=2', apiKey: { env: 'KEY' } })).toMatchObject({
      url: 'https://host/x/chat/completions?api-version=2',
      key: 'k-1',
    });
    expect(await target({ kind: 'local' })).toMatchObject({ url: 'http://127.0.0.1:7424/v1/chat/completions', key: 'local-key' });
    await expect(target({ kind: 'openai-compatible', baseUrl: 'https://host', apiKey: { env: 'BROKEN' } })).rejects.toMatchObject({
      code: 'secret_unavailable',
    });
    await expect(target({ kind: 'openai-compatible', baseUrl: 'https://host', apiKey: { env: 'MISSING' } })).rejects.toMatchObject({
      code: 'secret_unavailable',
    });
  });
});
