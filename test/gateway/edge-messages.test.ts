import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkMessage } from '../../gateway/edge/check-message.ts';
import { chooseEra } from '../../gateway/edge/choose-era.ts';
import { readJson } from '../../gateway/edge/read-json.ts';

const read = (text: string) => readJson(Buffer.from(text));
const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

describe('a body', () => {
  test('that is JSON is read as JSON.parse reads it', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(undefined, 1, '\t'), (text, indent) => {
        const value = JSON.parse(text);
        expect(read(JSON.stringify(value, null, indent))).toEqual({ ok: true, value });
      }),
    );
  });

  test.each(['', '{"a":', '{"a":1}}', '\u{feff}{}', 'undefined', '{"a":1,}'])('%j is no JSON: -32700', (text) => {
    expect(read(text)).toMatchObject({ ok: false, code: -32700 });
  });

  test('of bytes that are no UTF-8 is no JSON either, where a lenient reader would put another character', () => {
    expect(readJson(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject({ ok: false, code: -32700 });
  });

  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"b":{"x":[{"a":1, "a" :2}]}}',
    '{"__proto__":1,"__proto__":2}',
    '[{"a":"\\\\\\"","a":1}]',
    '{"1":1,"1":1}',
  ])('%s has a key twice: -32600, whatever the key is', (text) => {
    expect(read(text)).toMatchObject({ ok: false, code: -32600, reason: expect.stringContaining('twice') });
  });

  test.each(['{"a":{"a":{"a":1}}}', '[{"a":1},{"a":1}]', '{"a":"\\"a\\":1"}', '{"a":["b:",":\\\\"],"b":":"}'])(
    '%s has no key twice',
    (text) => {
      expect(read(text)).toMatchObject({ ok: true });
    },
  );

  test('of 64 levels is read, of 65 refused, and of a million refused without harm', () => {
    expect(read(nested(64))).toMatchObject({ ok: true });
    expect(read(nested(65))).toMatchObject({ ok: false, code: -32600, reason: expect.stringContaining('64') });
    expect(read(nested(1_000_000))).toMatchObject({ ok: false });
    expect(read('{"a":'.repeat(1_000_000))).toMatchObject({ ok: false });
  });
});

describe('a message', () => {
  const request = { jsonrpc: '2.0', id: 1, method: 'ping' };
  test.each([
    [request, { kind: 'request', id: 1, method: 'ping', params: {} }],
    [
      { ...request, id: '', params: { a: 1 } },
      { kind: 'request', id: '', params: { a: 1 } },
    ],
    [
      { ...request, id: 0 },
      { kind: 'request', id: 0 },
    ],
    [
      { ...request, id: undefined },
      { kind: 'notification', method: 'ping' },
    ],
    [
      { jsonrpc: '2.0', id: 3, result: {} },
      { kind: 'response', id: 3 },
    ],
    [
      { jsonrpc: '2.0', id: null, error: { code: 1, message: 'x' } },
      { kind: 'response', id: null },
    ],
  ])('%j is taken', (message, check) => {
    expect(checkMessage(message)).toMatchObject(check);
  });

  test.each([
    [null, null],
    [7, null],
    [[request], null],
    [{ id: 1, method: 'ping' }, 1],
    [{ ...request, jsonrpc: 2 }, 1],
    [{ ...request, jsonrpc: '1.0', id: 'x' }, 'x'],
    [{ ...request, id: null }, null],
    [{ ...request, id: 1.5 }, null],
    [{ ...request, id: 2 ** 53 }, null],
    [{ ...request, id: {} }, null],
    [{ ...request, id: true }, null],
    [{ ...request, method: 7 }, 1],
    [{ ...request, method: '' }, 1],
    [{ ...request, params: [] }, 1],
    [{ ...request, params: null }, 1],
    [{ ...request, result: {} }, 1],
    [{ jsonrpc: '2.0', id: 1 }, 1],
    [{ jsonrpc: '2.0', id: 1, result: {}, error: {} }, 1],
    [{ jsonrpc: '2.0', result: {} }, null],
  ])('%j is refused, with its id where that can be read', (message, id) => {
    expect(checkMessage(message)).toMatchObject({ kind: 'invalid', id });
  });
});

describe('the era', () => {
  const versioned = (version: unknown) => ({ _meta: { 'io.modelcontextprotocol/protocolVersion': version } });
  const of = (method: string, params: Record<string, unknown>, version?: string) =>
    chooseEra({ kind: 'request', id: 1, method, params }, version);

  test('is modern where `_meta` names a version or else the header a modern one', () => {
    expect(of('tools/list', versioned('2026-07-28'))).toEqual({ era: 'modern' });
    expect(of('initialize', versioned('2026-07-28'), '2026-07-28')).toEqual({ era: 'modern' });
    expect(of('tools/list', versioned(7), '2025-06-18')).toEqual({ era: 'modern' });
    expect(of('tools/list', {}, '2026-07-28')).toEqual({ era: 'modern' });
    expect(of('tools/list', { _meta: 'x' }, '2026-07-28')).toEqual({ era: 'modern' });
  });

  test('is legacy for `initialize`, for a legacy header, and for clients from before the header', () => {
    expect(of('initialize', {})).toEqual({ era: 'legacy' });
    expect(of('initialize', {}, '1900-01-01')).toEqual({ era: 'legacy' });
    expect(of('tools/list', {})).toEqual({ era: 'legacy' });
    expect(of('tools/list', { _meta: { progressToken: 1 } }, '2025-06-18')).toEqual({ era: 'legacy' });
    expect(chooseEra({ kind: 'response', id: 1 }, '2025-06-18')).toEqual({ era: 'legacy' });
  });

  test('is neither for a version nobody knows, a modern `initialize` and an answer to a modern server', () => {
    const supported = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
    expect(of('tools/list', {}, '1900-01-01')).toMatchObject({ error: { code: -32022, data: { supported, requested: '1900-01-01' } } });
    expect(of('initialize', {}, '2026-07-28')).toMatchObject({ era: 'neither', error: { code: -32020 } });
    expect(chooseEra({ kind: 'response', id: 1 }, '2026-07-28')).toMatchObject({ era: 'neither', error: { code: -32600 } });
  });
});
