import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResponseMalformed, ResponseParser } from '../../gateway/upstream/response-parser.ts';

type Seen = { status: number; headers: Record<string, unknown>; body: string; isReusable?: boolean; idleMs?: number | undefined };

const parserFor = (seen: Seen[]) =>
  new ResponseParser({
    onStart: (status, headers) => seen.push({ status, headers: { ...headers }, body: '' }),
    onData: (piece) => {
      const last = seen.at(-1);
      if (last) last.body += piece.toString('latin1');
    },
    onEnd: (isReusable, idleMs) => Object.assign(seen.at(-1) ?? {}, { isReusable, idleMs }),
  });

/** Feeds a text in pieces of the given sizes, in turn. */
const parse = (text: string, sizes: readonly number[] = [text.length || 1]) => {
  const seen: Seen[] = [];
  const parser = parserFor(seen);
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    const piece = Buffer.from(bytes.subarray(at, at + size));
    parser.push(piece);
    piece.fill(0x21); // what was given is not valid after the call
    at += size;
  }
  return { seen, parser };
};

const bodyArbitrary = fc.string({ maxLength: 300 }).map((text) => Buffer.from(text).toString('latin1'));
const answerArbitrary = fc
  .record({
    status: fc.constantFrom(200, 202, 400, 404, 500),
    body: bodyArbitrary,
    framing: fc.constantFrom('counted', 'chunked'),
    cuts: fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 5 }),
    extras: fc.array(fc.constantFrom('X-A: 1', 'Content-Type:application/json', 'x-empty:', 'X-Spaced:  two words  '), { maxLength: 4 }),
    trailers: fc.boolean(),
    isPreceded: fc.boolean(),
  })
  .map(({ status, body, framing, cuts, extras, trailers, isPreceded }) => {
    let written = body;
    const framed = framing === 'counted' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
    if (framing === 'chunked') {
      written = '';
      for (let at = 0, turn = 0; at < body.length; turn += 1) {
        const chunk = body.slice(at, at + (cuts[turn % cuts.length] ?? 1));
        written += `${chunk.length.toString(16)}${turn % 2 ? ';name=value' : ''}\r\n${chunk}\r\n`;
        at += chunk.length;
      }
      written += `0\r\n${trailers ? 'X-Trailer: t\r\n' : ''}\r\n`;
    }
    const before = isPreceded ? 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' : '';
    return { status, body, text: `${before}HTTP/1.1 ${status} Said\r\n${[framed, ...extras].join('\r\n')}\r\n\r\n${written}` };
  });

test('reads whatever a server may say, however it is cut into pieces', () => {
  fc.assert(
    fc.property(
      fc.array(answerArbitrary, { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 6 }),
      (answers, sizes) => {
        // each answer by itself: the next request goes out when the one before is answered
        const seen: Seen[] = [];
        const parser = parserFor(seen);
        for (const { text } of answers) {
          const bytes = Buffer.from(text, 'latin1');
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1;
            parser.push(bytes.subarray(at, at + size));
            at += size;
          }
        }
        expect(seen.map(({ status, body, isReusable }) => ({ status, body, isReusable }))).toEqual(
          answers.map(({ status, body }) => ({ status, body, isReusable: true })),
        );
      },
    ),
    { numRuns: 300 },
  );
});

describe('what an answer says of its connection', () => {
  const seenOf = (head: string, body = '') => parse(`${head}\r\n\r\n${body}`).seen[0];

  test('it can be used again, unless the server closes it or it is an old one', () => {
    expect(seenOf('HTTP/1.1 200 OK\r\nContent-Length: 2', 'ok')).toMatchObject({ isReusable: true, idleMs: undefined });
    expect(seenOf('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close', 'ok')).toMatchObject({ isReusable: false });
    expect(seenOf('HTTP/1.0 200 OK\r\nContent-Length: 2', 'ok')).toMatchObject({ isReusable: false });
    expect(seenOf('HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive', 'ok')).toMatchObject({ isReusable: true });
  });

  test('how long the server waits for another request', () => {
    expect(seenOf('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=5, max=100')).toMatchObject({ idleMs: 5000 });
  });

  test('it is not used again where somebody could have read the length otherwise, or more came than was asked for', () => {
    const both = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked';
    expect(seenOf(both, '0\r\n\r\n')).toMatchObject({ body: '', isReusable: false });
    expect(seenOf('HTTP/1.1 200 OK\r\nContent-Length: 2', 'okHTTP/1.1 200 OK\r\n')).toMatchObject({ body: 'ok', isReusable: false });
  });

  test('an answer without a length goes to the end of the connection', () => {
    const { seen, parser } = parse('HTTP/1.1 200 OK\r\n\r\nall of this');
    expect(seen[0]).toEqual({ status: 200, headers: {}, body: 'all of this' });
    expect(parser.close()).toBe(true);
    expect(seen[0]).toMatchObject({ isReusable: false });
  });

  test('a connection that is closed in the middle of an answer did not end it', () => {
    for (const text of [
      'HTTP/1.1 200',
      'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf',
    ])
      expect(parse(text).parser.close()).toBe(false);
  });

  test('204 and 304 have no body, whatever they say', () => {
    for (const status of [204, 304])
      expect(seenOf(`HTTP/1.1 ${status} Nothing\r\nContent-Length: 10`)).toMatchObject({ status, body: '', isReusable: true });
  });

  test('headers that come twice are joined, and names are lower case', () => {
    expect(seenOf('HTTP/1.1 200 OK\r\nWarning: one\r\nWARNING: two\r\nContent-Length: 0')?.headers).toEqual({
      warning: 'one, two',
      'content-length': '0',
    });
  });
});

describe('refuses', () => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  test.each([
    ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['HTTP/2 in the clear', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
    ['a folded header', `${ok}X-A: 1\r\n more\r\nContent-Length: 0\r\n\r\n`],
    ['a header without a colon', `${ok}nonsense\r\n\r\n`],
    ['a space before the colon', `${ok}Content-Length : 3\r\n\r\nabc`],
    ['a line that ends with LF alone', `${ok}X-A: 1\nContent-Length: 3\r\n\r\nabc`],
    ['a CR inside a header', `${ok}X-A: 1\rX-B: 2\r\n\r\n`],
    ['a NUL inside a header', `${ok}X-A: \0\r\n\r\n`],
    ['a negative length', `${ok}Content-Length: -1\r\n\r\n`],
    ['a length with a sign', `${ok}Content-Length: +3\r\n\r\nabc`],
    ['a hexadecimal length', `${ok}Content-Length: 0x3\r\n\r\nabc`],
    ['two lengths', `${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`],
    ['another encoding', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['a chunk without a size', `${ok}Transfer-Encoding: chunked\r\n\r\n\r\nabc`],
    ['a chunk size that is no number', `${ok}Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n`],
    ['a chunk that is longer than it says', `${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n`],
    ['a chunk size line that ends with LF alone', `${ok}Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n`],
  ])('%s', (_what, text) => {
    for (const sizes of [[text.length], [1], [7]]) expect(() => parse(text, sizes)).toThrow(ResponseMalformed);
  });

  test('heads and chunk lines without an end, before they fill the memory', () => {
    expect(() => parse(`${ok}X-A: ${'a'.repeat(70_000)}`, [1000])).toThrow(/too long/);
    expect(() => parse(`${ok}Transfer-Encoding: chunked\r\n\r\n3;${'a'.repeat(5000)}`, [100])).toThrow(/too long/);
  });
});
