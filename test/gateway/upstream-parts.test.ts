import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBreaker } from '../../gateway/upstream/breaker.ts';
import { encodeHeaderValue } from '../../gateway/upstream/encode-header-value.ts';
import { createMessageQueue } from '../../gateway/upstream/message-queue.ts';
import { parameterValues } from '../../gateway/upstream/parameter-values.ts';
import { createEventReader, type ServerEvent } from '../../gateway/upstream/read-events.ts';

const readIn = (chunks: Buffer[], mostBytes = 1000) => {
  const events: ServerEvent[] = [];
  const reader = createEventReader({ mostBytes, onEvent: (event) => void events.push(event) });
  const isRead = chunks.every((chunk) => reader.push(chunk));
  return { events, reader, isRead };
};
const cutAt = (bytes: Buffer, places: number[]): Buffer[] => {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
};

describe('reading server-sent events', () => {
  test('understands every line ending, comments, and fields with or without a space', () => {
    const text = '\uFEFF: hello\n\nevent: note\r\ndata:one\rdata: two\nid: 7\nretry: 250\n\r\ndata\n\nid: 8\n\ndata: three\n\n';
    const { events, reader } = readIn([Buffer.from(text)]);
    expect(events).toEqual([
      { type: 'note', data: 'one\ntwo' },
      { type: 'message', data: 'three' },
    ]);
    expect([reader.eventId, reader.retryMs]).toEqual(['8', 250]);
  });

  test('reads the same however a stream is cut', () => {
    const line = fc.constantFrom('data: a', 'data:ü€😀', 'event: x', 'id: 1', 'retry: 5', ': c', '', '', 'data');
    const ending = fc.constantFrom('\n', '\r\n', '\r');
    fc.assert(
      fc.property(fc.array(fc.tuple(line, ending), { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 10 }), (lines, places) => {
        const bytes = Buffer.from(lines.map(([text, end]) => text + end).join(''));
        const [whole, cut] = [readIn([bytes]), readIn(cutAt(bytes, places))];
        expect(cut.events).toEqual(whole.events);
        expect(cut.reader.eventId).toBe(whole.reader.eventId);
      }),
    );
  });

  test('gives up an event that is too long, in one line or in many', () => {
    expect(readIn([Buffer.from('data: '), Buffer.alloc(2000, 'x')]).isRead).toBe(false);
    expect(readIn(Array.from({ length: 200 }, () => Buffer.from('data: x\n'))).isRead).toBe(false);
    expect(readIn(Array.from({ length: 200 }, () => Buffer.from('data: x\n\n'))).isRead).toBe(true);
  });
});

describe('values in headers', () => {
  test.each([
    ['us-west1', 'us-west1'],
    ['us west 1', 'us west 1'],
    ['', ''],
    ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['\tindented', '=?base64?CWluZGVudGVk?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
  ])('%j is sent as %j', (value, sent) => expect(encodeHeaderValue(value)).toBe(sent));

  test('are arguments at their paths, where they are there', () => {
    const at = (header: string, ...path: string[]) => ({ header, path, type: 'string' as const });
    const headers = [
      at('a', 'text'),
      at('b', 'deep', 'number'),
      at('c', 'flag'),
      at('d', 'nothing'),
      at('e', 'constructor', 'name'),
      at('f', 'half'),
    ];
    const given = { text: 'x', deep: { number: -7 }, flag: false, nothing: null, half: 0.5 };
    expect(parameterValues(headers, given)).toEqual({ a: 'x', b: '-7', c: 'false' });
  });
});

describe('a breaker', () => {
  const start = () => {
    let now = 0;
    const told: string[] = [];
    const breaker = createBreaker({ now: () => now, onChange: (state) => void told.push(state) });
    const skip = (ms: number): void => {
      now += ms;
    };
    return { breaker, told, skip };
  };

  test('opens after five failures in a row, or three of a server that is not there', () => {
    const { breaker } = start();
    for (let failures = 0; failures < 4; failures += 1) breaker.failed();
    breaker.succeeded();
    for (let failures = 0; failures < 4; failures += 1) breaker.failed();
    expect(breaker.state()).toBe('closed');
    breaker.failed();
    expect(breaker.state()).toBe('open');
    const other = start().breaker;
    for (let failures = 0; failures < 3; failures += 1) other.failed({ isUnreachable: true });
    expect(other.state()).toBe('open');
  });

  test('lets one try after its pause, waits twice as long when that fails, and half a minute at most', () => {
    const { breaker, told, skip } = start();
    for (let failures = 0; failures < 5; failures += 1) breaker.failed();
    const pauses: number[] = [];
    for (let trials = 0; trials < 8; trials += 1) {
      const refused = breaker.admit();
      pauses.push(refused.ok ? 0 : refused.retryInMs);
      skip(pauses.at(-1) ?? 0);
      expect(breaker.state()).toBe('half-open');
      expect(breaker.admit()).toEqual({ ok: true, isTrial: true });
      expect(breaker.admit()).toMatchObject({ ok: false });
      breaker.failed();
    }
    for (const [index, pause] of pauses.entries()) {
      const planned = Math.min(30_000, 1000 * 2 ** index);
      expect(pause).toBeGreaterThanOrEqual(planned * 0.8);
      expect(pause).toBeLessThanOrEqual(planned * 1.2);
    }
    skip(40_000);
    expect(breaker.admit()).toMatchObject({ isTrial: true });
    breaker.succeeded();
    expect([breaker.state(), told]).toEqual(['closed', ['open', 'closed']]);
  });
});

test('a queue of messages keeps their order, and pauses who reads while one is not done', async () => {
  const taken: number[] = [];
  const calls: string[] = [];
  const gate = Promise.withResolvers<void>();
  const take = (message: number) => {
    taken.push(message);
    return message === 2 ? gate.promise : undefined;
  };
  const queue = createMessageQueue(take, { pause: () => void calls.push('pause'), resume: () => void calls.push('resume') });
  for (const message of [1, 2, 3, 4]) queue.push(message);
  const idle = new Promise<void>((resolve) => queue.whenIdle(resolve));
  expect([taken, calls]).toEqual([[1, 2], ['pause']]);
  gate.resolve();
  await idle;
  expect([taken, calls]).toEqual([
    [1, 2, 3, 4],
    ['pause', 'resume'],
  ]);
});
