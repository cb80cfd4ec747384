import fc from 'fast-check';
import type { FuzzTarget } from './fuzz-target.ts';
import { bodyText, type Spoken, spokenMessage } from './json-bodies.ts';
import { mutated } from './mutate-text.ts';

/** Bytes for one connection, and where they are torn into separate writes. */
export type RawRequest = { bytes: Buffer; tears: number[] };

/** Mostly nothing: `weight` times as often as something. */
const seldom = <T>(arbitrary: fc.Arbitrary<T>, weight: number): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const headerText = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom(
      '',
      '2026-07-28',
      '2025-06-18',
      '2024-11-05',
      'v999',
      'tools/call',
      '=?base64?SGVsbG8=?=',
      '=?base64?!?=',
      '*/*',
      'text/event-stream',
    ),
    fc.string({ maxLength: 30 }),
    seldom(fc.string({ unit: 'binary', maxLength: 30 }), 2).map((text) => (text ?? '\u00e4').replace(/[\r\n\0]/g, '')),
    fc.integer({ min: 1000, max: 9000 }).map((length) => 'x'.repeat(length)),
  );

/** One of `framing` spoils a request for every HTTP server, so that these are seldom. */
const framing = ['Host', 'Expect', 'Connection', 'Upgrade', 'Transfer-Encoding', 'Content-Length', 'Authorization', 'Origin'];
const looked = [
  'MCP-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
  'Mcp-Session-Id',
  'Last-Event-ID',
  'Mcp-Param-Region',
  'Idempotency-Key',
  'Accept',
  'Content-Type',
  'Content-Encoding',
  'X-Other',
  '__proto__',
];

/** Headers that some part of the gateway looks at, with anything in them, also more than once. */
const moreHeaders = (): fc.Arbitrary<[string, string][]> =>
  fc.array(
    fc.tuple(
      fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...looked) }, { weight: 1, arbitrary: fc.constantFrom(...framing) }),
      headerText(),
    ),
    { maxLength: 2 },
  );

const pathOf = ({ path }: FuzzTarget): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.constant(path) },
    fc.constantFrom(
      '/mcp',
      '/mcp/',
      '/mcp/none',
      '/mcp/a/b/c',
      `${path}/`,
      `${path}?x=1`,
      `${path}?sessionId=x`,
      '/',
      '//',
      '*',
      '/.well-known/oauth-protected-resource/mcp',
    ),
    mutated(fc.constant(path)).map((text) => text.replace(/[^\x21-\x7e]/g, '') || '/'),
  );

const bodyBytes = (text: string, chunks: readonly number[] | undefined): Buffer => {
  const bytes = Buffer.from(text);
  if (!chunks) return bytes;
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of [...chunks, bytes.length]) {
    const part = bytes.subarray(at, at + size);
    at += part.length;
    if (part.length > 0) parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
};

const sessionOf = ({ sessions }: FuzzTarget): fc.Arbitrary<string | undefined> =>
  sessions.length === 0
    ? fc.constant(undefined)
    : fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(undefined, ...sessions) },
        mutated(fc.constantFrom(...sessions)).map((text) => text.replace(/[^\x21-\x7e]/g, '')),
      );

const headersFor = (target: FuzzTarget, { method, name, isModern }: Spoken, session: string | undefined): [string, string][] => [
  ['Host', `127.0.0.1:${target.port}`],
  ['Authorization', `Bearer ${target.token}`],
  ['Content-Type', 'application/json'],
  ['Accept', 'application/json, text/event-stream'],
  ...(isModern
    ? ([
        ['MCP-Protocol-Version', '2026-07-28'],
        ['Mcp-Method', method],
      ] as [string, string][])
    : []),
  ...(isModern && name !== undefined ? ([['Mcp-Name', name]] as [string, string][]) : []),
  ...(!isModern && session !== undefined && method !== 'initialize' ? ([['Mcp-Session-Id', session]] as [string, string][]) : []),
];

const oneRequest = (target: FuzzTarget): fc.Arbitrary<Buffer> =>
  spokenMessage(target).chain((spoken) =>
    fc
      .record({
        verb: fc.oneof(
          { weight: 10, arbitrary: fc.constant('POST') },
          fc.constantFrom('GET', 'DELETE', 'PUT', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY'),
        ),
        path: pathOf(target),
        text: bodyText(target, spoken.body),
        chunks: seldom(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 5 }), 3),
        more: moreHeaders(),
        session: sessionOf(target),
        announced: seldom(fc.integer({ min: -1, max: 5_000_000 }), 20),
      })
      .map(({ verb, path, text, chunks, more, session, announced }) => {
        const body = bodyBytes(text, chunks);
        const framing: [string, string] = chunks ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(announced ?? body.length)];
        const lines = [...headersFor(target, spoken, session), framing, ...more].map(([name, value]) => `${name}: ${value}\r\n`);
        return Buffer.concat([Buffer.from(`${verb} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'), body]);
      }),
  );

/** One to three requests on one connection; now and then their bytes are changed, or end too early. */
export const rawRequest = (target: FuzzTarget): fc.Arbitrary<RawRequest> =>
  fc
    .record({
      requests: fc.array(oneRequest(target), { minLength: 1, maxLength: 3 }),
      edits: seldom(mutated(fc.constant('')), 8),
      at: fc.nat(999),
      isCut: fc.boolean(),
      tears: fc.array(fc.nat(600), { maxLength: 3 }),
    })
    .map(({ requests, edits, at, isCut, tears }) => {
      const whole = Buffer.concat(requests);
      if (edits === undefined) return { bytes: whole, tears };
      const index = Math.floor((at / 1000) * whole.length);
      const rest = isCut ? Buffer.alloc(0) : whole.subarray(index + edits.length);
      return { bytes: Buffer.concat([whole.subarray(0, index), Buffer.from(edits, 'latin1'), rest]), tears };
    });
