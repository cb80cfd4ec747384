import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acceptedAnswers } from '../../gateway/edge/accepted-answers.ts';
import { checkParameterHeaders } from '../../gateway/edge/check-parameter-headers.ts';
import { decodeHeaderValue } from '../../gateway/edge/decode-header-value.ts';
import { parameterHeadersOf } from '../../gateway/surface/parameter-headers.ts';
import { encodeHeaderValue } from '../../gateway/upstream/encode-header-value.ts';

describe('the value of a header', () => {
  test.each([
    ['us-west1', 'us-west1'],
    ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
  ])('%j is written as the specification writes it', (text, header) => {
    expect(encodeHeaderValue(text)).toBe(header);
    expect(decodeHeaderValue(header)).toBe(text);
  });

  test('any text comes back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const header = encodeHeaderValue(text);
        expect(header).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeHeaderValue(header)).toBe(text.toWellFormed());
      }),
    );
  });

  test.each(['=?base64?SGVsbG8?=', '=?base64?SGVs!!!bG8=?=', '=?base64?/w==?=', 'käse', 'a\u0000b'])('%j stands for nothing', (header) => {
    expect(decodeHeaderValue(header)).toBeUndefined();
  });

  test.each(['SGVsbG8=', '=?base64?SGVsbG8=', '=?BASE64?SGVsbG8=?='])('%j without the whole sentinel stands for itself', (header) => {
    expect(decodeHeaderValue(header)).toBe(header);
  });
});

describe('headers of parameters', () => {
  const check = (inputSchema: object, ...given: [argumentsOfCall: unknown, headers: Record<string, string>]) => {
    const read = parameterHeadersOf(inputSchema);
    if (!read.ok) throw new Error(read.reason);
    return checkParameterHeaders(read.headers, ...given);
  };
  const schema = {
    type: 'object',
    properties: {
      region: { type: 'string', 'x-mcp-header': 'Region' },
      size: { type: 'integer', 'x-mcp-header': 'Size' },
      dry: { type: 'boolean', 'x-mcp-header': 'Dry' },
      query: { type: 'string' },
      where: { type: 'object', properties: { zone: { type: 'string', 'x-mcp-header': 'Zone' } } },
    },
  };

  test.each([
    [{}, {}],
    [{ region: 'eu', query: 'x' }, { 'mcp-param-region': 'eu' }],
    [{ region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVsbG8=?=' }],
    [
      { size: 42, dry: false },
      { 'mcp-param-size': '42.0', 'mcp-param-dry': 'false' },
    ],
    [{ size: 2 ** 53 }, { 'mcp-param-size': '9007199254740992' }],
    [{ where: { zone: 'a' } }, { 'mcp-param-zone': 'a' }],
    [{ region: null }, {}],
    [{}, { 'mcp-param-other': 'anything' }],
  ])('%j with %j agree', (argumentsOfCall, headers) => {
    expect(check(schema, argumentsOfCall, headers as Record<string, string>)).toBeUndefined();
  });

  test.each([
    [{ region: 'eu' }, {}],
    [{ region: 'eu' }, { 'mcp-param-region': 'us' }],
    [{ region: 'eu' }, { 'mcp-param-region': 'EU' }],
    [{}, { 'mcp-param-region': 'eu' }],
    [{ region: null }, { 'mcp-param-region': 'null' }],
    [{ region: 'Hello' }, { 'mcp-param-region': '=?base64?SGVsbG8?=' }],
    [{ region: 'ä' }, { 'mcp-param-region': 'ä' }],
    [{ size: 42 }, { 'mcp-param-size': '0x2a' }],
    [{ size: 42 }, { 'mcp-param-size': '43' }],
    [{ size: 42 }, { 'mcp-param-size': '42.00000000000000001' }],
    [{ size: 2 ** 53 }, { 'mcp-param-size': '9007199254740993' }],
    [{ dry: true }, { 'mcp-param-dry': 'True' }],
    [{ where: { zone: 'a' } }, {}],
    [{ region: { a: 1 } }, { 'mcp-param-region': '[object Object]' }],
  ])('%j with %j do not', (argumentsOfCall, headers) => {
    expect(check(schema, argumentsOfCall, headers as Record<string, string>)).toMatchObject({ code: -32020 });
  });

  test('what is inherited is no argument', () => {
    const inherited = { properties: { constructor: { type: 'string', 'x-mcp-header': 'Made' } } };
    expect(check(inherited, {}, {})).toBeUndefined();
  });
});

test.each([
  [undefined, { json: true, stream: true }],
  ['*/*', { json: true, stream: true }],
  ['application/json, text/event-stream', { json: true, stream: true }],
  ['Text/Event-Stream;q=0.5', { json: false, stream: true }],
  ['application/*', { json: true, stream: false }],
  ['application/json, text/event-stream;q=0', { json: true, stream: false }],
  ['text/html', { json: false, stream: false }],
  ['', { json: true, stream: true }],
])('a client that accepts %j reads %j', (accept, answers) => {
  expect(acceptedAnswers(accept)).toEqual(answers);
});
