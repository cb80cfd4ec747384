import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanMessage } from '../../gateway/llm/clean-message.ts';
import { providerRefusal } from '../../gateway/llm/provider-error.ts';
import { createEventSplitter } from '../../gateway/llm/split-events.ts';
import { createStreamTap } from '../../gateway/llm/stream-tap.ts';
import { costOf, readUsage } from '../../gateway/llm/usage.ts';
import { chunkEvent, doneEvent, usageEvent } from '../support/raw-provider.ts';

describe('a stream', () => {
  test('is cut into the same events with the same bytes wherever its chunks are cut', () => {
    const events = [
      chunkEvent({ content: 'grüße 🎉 日本' }),
      ': keep-alive\r\n\r\n',
      'event: x\r\ndata: {"choices":[]}\r\n\r\n',
      usageEvent(1, 2),
      doneEvent,
    ].map((text) => Buffer.from(text));
    const whole = Buffer.concat(events);
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 40 }), (cuts) => {
        const splitter = createEventSplitter(1000);
        const at = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
        const found = at.slice(1).flatMap((end, index) => splitter.push(whole.subarray(at[index], end)));
        expect(Buffer.concat(found).equals(whole)).toBe(true);
        expect(found.map(String)).toEqual(events.map(String));
        expect(splitter.rest()).toHaveLength(0);
      }),
    );
    const byByte = createEventSplitter(1000);
    expect([...whole].flatMap((byte) => byByte.push(Buffer.from([byte]))).map(String)).toEqual(events.map(String));
  });

  test('keeps what has no end, up to a limit', () => {
    const splitter = createEventSplitter(100);
    expect(splitter.push(Buffer.from('data: {"a"'))).toEqual([]);
    expect(String(splitter.rest())).toBe('data: {"a"');
    expect(() => splitter.push(Buffer.alloc(100, 'x'))).toThrow(/larger than 100 bytes/);
  });

  test('is read for what it costs, where it ends and what is none', () => {
    const tap = createStreamTap();
    const read = (text: string) => tap.read(Buffer.from(text));
    expect(read(': OPENROUTER PROCESSING\n\n')).toBe('other');
    expect(read('event: ping\ndata:\n\n')).toBe('other');
    expect(read('\ufeffdata:{"choices":[{"delta":{"role":"assistant","content":"abc"}}]}\n\n')).toBe('chunk');
    expect(read('data: {"choices":[{"delta":\ndata: {"content":"def"}}]}\n\n')).toBe('chunk');
    expect(read(chunkEvent({ tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] }))).toBe('chunk');
    expect(tap.outputTokens()).toBe(Math.ceil((3 + 3 + 7) / 3));
    expect(tap.hasFinished()).toBe(false);
    expect(read(chunkEvent({}, 'stop'))).toBe('chunk');
    expect(tap.hasFinished()).toBe(true);
    expect(tap.usage()).toBeUndefined();
    expect(read('data: {"choices":[],"prompt_filter_results":[]}\n\n')).toBe('chunk');
    expect(read(usageEvent(3, 4))).toBe('usage-only');
    expect(tap.usage()).toEqual({ inputTokens: 3, outputTokens: 4 });
    expect(read('data: [DONE]\r\n\r\n')).toBe('done');
    expect(read('data: {"error":{"message":"overloaded"}}\n\n')).toBe('error');
    for (const garbage of ['data: {"cut\n\n', 'data: 7\n\n', 'data: []\n\n', '<html>502</html>\n\n', '{"error":"no stream"}\n\n'])
      expect(read(garbage), garbage).toBe('garbage');
  });
});

describe('usage', () => {
  test('is read where it makes sense; what a model thinks beside its completion is counted', () => {
    expect(readUsage({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, extra: {} })).toEqual({
      inputTokens: 10,
      outputTokens: 5,
    });
    expect(readUsage({ prompt_tokens: 10, completion_tokens: 5, total_tokens: 90 })).toEqual({ inputTokens: 10, outputTokens: 80 });
    expect(readUsage({ prompt_tokens: 10, completion_tokens: 0 })).toEqual({ inputTokens: 10, outputTokens: 0 });
    for (const nonsense of [
      undefined,
      null,
      {},
      { prompt_tokens: -1, completion_tokens: 1 },
      { prompt_tokens: '5' },
      { prompt_tokens: 1e12 },
      { prompt_tokens: 1.5 },
      [],
      7,
    ])
      expect(readUsage(nonsense)).toBeUndefined();
  });

  test('costs whole micro-dollars, rounded up, also where a number would not hold the product', () => {
    const price = (input: number, output: number) => ({ inputMicroUsdPerMillion: input, outputMicroUsdPerMillion: output });
    expect(costOf({ inputTokens: 1, outputTokens: 0 }, price(1, 0))).toBe(1);
    expect(costOf({ inputTokens: 1_000_000, outputTokens: 500_000 }, price(150_000, 600_000))).toBe(450_000);
    expect(costOf({ inputTokens: 999_999, outputTokens: 2 }, price(1_000_000, 1_000_000))).toBe(1_000_001);
    expect(costOf({ inputTokens: 0, outputTokens: 0 }, price(5, 5))).toBe(0);
    expect(costOf({ inputTokens: 1_000_000_000, outputTokens: 1 }, price(1e12, 1))).toBe(1e15 + 1);
  });
});

describe('what a provider says about a refusal', () => {
  const hide = {
    secrets: ['the-provider-key'],
    texts: ['short1', 'The quick brown fox\njumps over the lazy dog and other secrets of the house'],
  };
  const clean = (message: string) => cleanMessage(message, hide);

  test('is passed on in one line of at most 300 characters', () => {
    expect(clean("This model's maximum context length is 4096 tokens.\r\n\tHowever, you requested 5000.\u0000")).toBe(
      "This model's maximum context length is 4096 tokens. However, you requested 5000.",
    );
    expect(clean('word '.repeat(500))).toHaveLength(300);
  });

  test('holds no key, whole or masked, and nothing of the prompt', () => {
    for (const secret of [
      'the-provider-key',
      'sk-proj-abcd1234efgh',
      'sk-ab********wxyz',
      'gsk_12345678',
      'AIzaSyA1234567890',
      'Bearer abc.def',
      'a'.repeat(40),
    ])
      expect(clean(`Incorrect API key provided: ${secret}. Fix it.`), secret).toMatch(
        /^Incorrect API key provided: …+ ?\.? ?Fix it\.$|^Incorrect API key provided: …\.? Fix it\.$/,
      );
    expect(clean('Invalid value: short1 at messages[0]')).toBe('Invalid value: … at messages[0]');
    const echoed = clean('messages[0]: "quick brown fox jumps over the lazy dog and oth" is too long');
    expect(echoed).not.toMatch(/brown|jumps|lazy|dog/);
    expect(echoed).toMatch(/^messages\[0\].*too long$/);
  });

  test('never holds twenty characters in a row of the prompt, wherever the echo stands', () => {
    const prompt = 'abcdefghijklmnopqrstuvwxyz0123456789 with words between and 12 numbers 34';
    fc.assert(
      fc.property(fc.nat(50), fc.nat(40), fc.string({ maxLength: 60 }), (from, padding, before) => {
        const message = cleanMessage(`${'-'.repeat(padding)}${before}${prompt.slice(from, from + 22)} end`, {
          secrets: [],
          texts: [prompt],
        });
        for (let at = 0; at + 20 <= prompt.length; at += 1) expect(message).not.toContain(prompt.slice(at, at + 20));
      }),
    );
  });

  test('is quick even where the prompt is as large as it may be', () => {
    const texts = [Array.from({ length: 4_000_000 }, (_, index) => String.fromCharCode(97 + ((index * index) % 23))).join('')];
    const start = performance.now();
    cleanMessage('some words that are nowhere in the prompt, '.repeat(20), { secrets: [], texts });
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('becomes a code that says whether to try again', () => {
    const refusal = (status: number, body: unknown = '', retryAfter?: string) => {
      const {
        code,
        status: ours,
        detail,
        facts,
        isRetryable,
      } = providerRefusal('acme', { status, retryAfter, text: typeof body === 'string' ? body : JSON.stringify(body) }, hide);
      expect(detail).toContain('acme');
      return { code, status: ours, facts, isRetryable, detail };
    };
    expect(refusal(500)).toMatchObject({ code: 'model_unavailable', status: 503, isRetryable: true });
    expect(refusal(429, '', '17')).toMatchObject({ code: 'model_unavailable', facts: { retryAfterSeconds: 17 } });
    expect(refusal(429, '', 'Wed, 21 Oct 2026 07:28:00 GMT').facts).toEqual({});
    for (const status of [401, 403])
      expect(refusal(status, { error: { message: 'Incorrect API key provided: sk-abc123456' } }).detail).not.toMatch(/sk-|Incorrect/);
    expect(refusal(401)).toMatchObject({ code: 'provider_refused', status: 502, isRetryable: false });
    for (const status of [302, 404, 402]) expect(refusal(status)).toMatchObject({ code: 'provider_refused', status: 502 });
    expect(
      refusal(400, { error: { message: "This model's maximum context length is 8 tokens", code: 'context_length_exceeded' } }),
    ).toMatchObject({
      code: 'request_invalid',
      status: 400,
      facts: { reason: 'context_length_exceeded' },
      detail: expect.stringContaining('maximum context length'),
    });
    expect(refusal(400, { error: { message: 'prompt exceeds the context window', type: 'x' } }).facts).toEqual({
      reason: 'context_length_exceeded',
    });
    expect(refusal(422, { detail: 'bad schema' })).toMatchObject({
      code: 'request_invalid',
      detail: expect.stringContaining('bad schema'),
      facts: { reason: 'invalid_request' },
    });
    for (const body of ['', '<html>', 'null', '[]', '{"error":null}', '{"error":"plain"}', '{"error":{"message":7,"code":{}}}'])
      expect(refusal(400, body).code).toBe('request_invalid');
  });
});
