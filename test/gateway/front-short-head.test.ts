import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readShortHead } from '../../gateway/front/read-short-head.ts';
import { mutated } from './fuzz/mutate-text.ts';

const body = '{"jsonrpc":"2.0"}';
const lines = (...more: string[]): string =>
  ['POST /mcp/echo HTTP/1.1', 'Host: 127.0.0.1:7420', `Content-Length: ${body.length}`, ...more].join('\r\n');
const whole = (...more: string[]): string => `${lines(...more)}\r\n\r\n${body}`;
const read = (text: string) => readShortHead(Buffer.from(text, 'latin1'));

describe('a short request', () => {
  test('is read with its path, its headers in lower case and where its body stands', () => {
    const text = whole('Authorization: Bearer x', 'ACCEPT:application/json  ');
    expect(read(text)).toEqual({
      url: '/mcp/echo',
      headers: { host: '127.0.0.1:7420', 'content-length': '17', authorization: 'Bearer x', accept: 'application/json' },
      bodyAt: text.length - body.length,
      bodyBytes: 17,
    });
  });

  test.each([
    ['another method', whole().replace('POST', 'PUT')],
    ['another path', whole().replace('/mcp/echo', '/v1/models')],
    ['a path with dots', whole().replace('/mcp/echo', '/mcp/../v1')],
    ['an escaped path', whole().replace('/mcp/echo', '/mcp/%65cho')],
    ['a query', whole().replace('/mcp/echo', '/mcp/echo?x=1')],
    ['HTTP/1.0', whole().replace('HTTP/1.1', 'HTTP/1.0')],
    ['no Host', whole().replace('Host', 'X-Host')],
    ['no length', whole().replace('Content-Length', 'X-Length')],
    ['a length with a sign', whole().replace(': 17', ': +17')],
    ['a length that is large', whole().replace(': 17', ': 70000')],
    ['two lengths', whole('Content-Length: 17')],
    ['two lengths in one', whole().replace(': 17', ': 17, 17')],
    ['a transfer coding', whole('Transfer-Encoding: chunked')],
    ['an expectation', whole('Expect: 100-continue')],
    ['an upgrade', whole('Connection: upgrade', 'Upgrade: websocket')],
    ['a connection to be closed', whole('Connection: close')],
    ['trailers', whole('Trailer: x')],
    ['a header twice', whole('Accept: a', 'accept: b')],
    ['a folded header', whole('X-A: b', ' c')],
    ['a space before the colon', whole('X-A : b')],
    ['a header without a colon', whole('X-A')],
    ['a header without a name', whole(': b')],
    ['a lone line feed', whole('X-A: b\nTransfer-Encoding: chunked')],
    ['a lone carriage return', whole('X-A: b\rTransfer-Encoding: chunked')],
    ['NUL', whole('X-A: b\0')],
    ['bytes beyond ASCII', whole('X-A: \u00e4')],
    ['an underscore in a name', whole('__proto__: x')],
    ['too many headers', whole(...Array.from({ length: 70 }, (_, index) => `X-${index}: x`))],
    ['a head without end', lines()],
    ['a head that is too long', whole(`X-A: ${'x'.repeat(17_000)}`)],
  ])('is not one with %s', (_what, text) => {
    expect(read(text)).toBeUndefined();
  });
});

describe('beside the parser of Node', () => {
  type Seen = { method: string; url: string; headers: IncomingHttpHeaders; body: string };
  let seen: Seen[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('latin1').on('data', (piece) => {
      text += piece;
    });
    request.on('end', () => {
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: text });
      response.end();
    });
  });
  server.keepAliveTimeout = 0;
  let port = 0;
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const byNode = async (text: string): Promise<Seen[]> => {
    seen = [];
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => undefined).resume();
    socket.write(Buffer.from(text, 'latin1'));
    await Promise.race([once(socket, 'data'), once(socket, 'close')]);
    socket.destroy();
    return seen;
  };

  test('whatever is taken for a short request is the same request there, and nothing more', async () => {
    const request = fc.constantFrom(
      whole(),
      whole('Authorization: Bearer abc', 'Content-Type: application/json', 'Accept: application/json, text/event-stream'),
      whole('Connection: keep-alive', 'Mcp-Name:  x ', 'Mcp-Method:\ttools/call\t'),
    );
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(mutated(request, 2), async (written) => {
        const text = Buffer.from(written, 'latin1').toString('latin1');
        const head = read(text);
        // as the connection does it: all of the body must be there, and nothing behind it
        if (!head || text.length - head.bodyAt !== head.bodyBytes) return;
        taken += 1;
        expect(await byNode(text)).toEqual([
          { method: 'POST', url: head.url, headers: { ...head.headers }, body: text.slice(head.bodyAt) },
        ]);
      }),
      { numRuns: 4000 },
    );
    expect(taken).toBeGreaterThan(300);
  });
});
