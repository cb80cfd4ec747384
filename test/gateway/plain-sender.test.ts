import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { HttpFlight, HttpRequest, HttpSender } from '../../gateway/upstream/http-sender.ts';
import { createPlainSender } from '../../gateway/upstream/plain-sender.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

const senderTo = (port: number, options: { mostConnections?: number; connectTimeoutMs?: number } = {}): HttpSender => {
  const sender = createPlainSender(`http://127.0.0.1:${port}`, { connectTimeoutMs: 2000, mostConnections: 16, ...options });
  cleanups.push(() => sender.close());
  return sender;
};

const serve = async (handle: (request: IncomingMessage, body: string, response: ServerResponse) => void, options: object = {}) => {
  let connections = 0;
  const server = createHttpServer(options, async (request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    handle(request, Buffer.concat(chunks).toString(), response);
  }).listen(0, '127.0.0.1');
  server.on('connection', () => {
    connections += 1;
  });
  await once(server, 'listening');
  cleanups.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as { port: number }).port, connections: () => connections, server };
};

type Result = { status?: number; body: string; wasSent: boolean; error?: Error & { code?: string } };
const ask = (sender: HttpSender, request: Partial<HttpRequest> = {}, onFlight: (flight: HttpFlight) => void = () => undefined) =>
  new Promise<Result>((resolve) => {
    const result: Result = { body: '', wasSent: false };
    const chunks: Buffer[] = [];
    const flight = sender.send(
      { method: 'POST', path: '/mcp', headers: ['content-type', 'application/json'], body: '{}', ...request },
      {
        onSent: () => {
          result.wasSent = true;
        },
        onStart: (status) => {
          result.status = status;
        },
        onData: (chunk) => chunks.push(chunk),
        onEnd: () => resolve({ ...result, body: Buffer.concat(chunks).toString() }),
        onError: (error) => resolve({ ...result, error }),
      },
    );
    onFlight(flight);
  });

test('sends heads and bodies as they are meant, and reads answers of all sizes', async () => {
  const { port } = await serve((request, body, response) => {
    const { host, 'content-length': length, 'x-a': header } = request.headers;
    const said = JSON.stringify({ method: request.method, url: request.url, host, length, header, body });
    if (request.url === '/chunked') for (const character of said.match(/.{1,1000}/gsu) ?? []) response.write(character);
    response.end(request.url === '/chunked' ? undefined : said);
  });
  const sender = senderTo(port);
  for (const path of ['/mcp?a=b', '/chunked'])
    for (const body of ['{}', JSON.stringify({ text: 'Grüße 🎈' }), JSON.stringify('x'.repeat(500_000))]) {
      const result = await ask(sender, { path, headers: ['X-A', 'wörd'], body });
      const said = { method: 'POST', url: path, host: `127.0.0.1:${port}`, length: String(Buffer.byteLength(body)), header: 'wörd', body };
      expect([result.status, JSON.parse(result.body)]).toEqual([200, said]);
    }
  expect(JSON.parse((await ask(sender, { method: 'GET', body: '' })).body)).toMatchObject({ method: 'GET', body: '' });
});

test('uses a connection again and again, and as many as it needs', async () => {
  const { port, connections } = await serve((_request, body, response) => response.end(body));
  const sender = senderTo(port);
  for (let index = 0; index < 20; index += 1) expect((await ask(sender, { body: `"${index}"` })).body).toBe(`"${index}"`);
  expect(connections()).toBe(1);
  const bodies = Array.from({ length: 10 }, (_, index) => `"at once ${index}"`);
  expect((await Promise.all(bodies.map((body) => ask(sender, { body })))).map(({ body }) => body)).toEqual(bodies);
  expect(connections()).toBe(10);
});

test('makes no more connections than it may, and the others wait in line', async () => {
  const { port, connections } = await serve((_request, body, response) => setTimeout(() => response.end(body), 5));
  const sender = senderTo(port, { mostConnections: 3 });
  const results = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(sender, { body: `"${index}"` })));
  expect(results.map(({ body }) => body)).toEqual(Array.from({ length: 20 }, (_, index) => `"${index}"`));
  expect(connections()).toBe(3);
});

test('a request that was taken back while it waited is never sent', async () => {
  const bodies: string[] = [];
  const { port } = await serve((_request, body, response) => {
    bodies.push(body);
    setTimeout(() => response.end(body), 20);
  });
  const sender = senderTo(port, { mostConnections: 1 });
  const first = ask(sender, { body: '"first"' });
  void ask(sender, { body: '"taken back"' }, (flight) => flight.abort());
  const last = ask(sender, { body: '"last"' });
  expect([(await first).body, (await last).body]).toEqual(['"first"', '"last"']);
  expect(bodies).toEqual(['"first"', '"last"']);
});

test('keeps nothing of what was taken back while it waits for its turn', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { port } = await serve(() => undefined);
  const sender = senderTo(port, { mostConnections: 1 });
  void ask(sender);
  const inUse = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = inUse();
  const mebibyte = 1024 * 1024;
  const flights: HttpFlight[] = [];
  for (let index = 0; index < 32; index += 1)
    void ask(sender, { body: Buffer.alloc(4 * mebibyte, 97 + (index % 26)).toString('latin1') }, (flight) => flights.push(flight));
  expect(inUse() - before).toBeGreaterThan(100 * mebibyte);
  for (const flight of flights) flight.abort();
  expect(inUse() - before).toBeLessThan(16 * mebibyte);
  expect(flights).toHaveLength(32);
});

test('a request that is taken back in the middle closes its connection, and is not heard of again', async () => {
  let closed = 0;
  const { port } = await serve((_request, body, response) => {
    response.once('close', () => {
      closed += 1;
    });
    if (body === '"quick"') response.end('quick');
    else response.write('begun');
  });
  const sender = senderTo(port);
  let flight: HttpFlight | undefined;
  let isHeard = false;
  void ask(sender, { body: '"slow"' }, (given) => {
    flight = given;
  }).then(() => {
    isHeard = true;
  });
  await delay(50);
  flight?.abort();
  await expect.poll(() => closed).toBe(1);
  expect((await ask(sender, { body: '"quick"' })).body).toBe('quick');
  expect(isHeard).toBe(false);
});

test('says that nothing was sent where nobody listens, and hands the flight over first', async () => {
  const sender = senderTo(await freePort());
  let isHandedOver = false;
  const result = await ask(sender, {}, () => {
    isHandedOver = true;
  });
  expect(result).toMatchObject({ wasSent: false, error: { code: 'ECONNREFUSED' } });
  expect(isHandedOver).toBe(true);
});

test('a connection that breaks in the middle of an answer is an error, after which the next request has a new one', async () => {
  let isBroken = true;
  const { port } = await serve((_request, _body, response) => {
    if (!isBroken) return void response.end('whole');
    response.writeHead(200, { 'content-length': '100' }).write('half');
    setTimeout(() => response.destroy(), 5);
  });
  const sender = senderTo(port);
  expect(await ask(sender)).toMatchObject({ status: 200, wasSent: true, error: { code: 'ECONNRESET' } });
  isBroken = false;
  expect(await ask(sender)).toMatchObject({ status: 200, body: 'whole' });
});

test('an answer that goes to the end of its connection is whole', async () => {
  const server = createServer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nto the end'));
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  expect(await ask(senderTo((server.address() as { port: number }).port))).toMatchObject({ status: 200, body: 'to the end' });
});

test('keeps an idle connection for less long than the server does', async () => {
  const { port, connections } = await serve((_request, body, response) => response.end(body), { keepAliveTimeout: 1000 });
  const sender = senderTo(port);
  for (let index = 0; index < 3; index += 1) await ask(sender);
  // it says that it waits one second, and our margin is one second
  expect(connections()).toBe(3);
});

test('a request that meets a connection just closed by the server goes out on another', async () => {
  const sockets: Socket[] = [];
  const { port, server } = await serve((_request, body, response) => response.end(body));
  server.on('connection', (socket) => sockets.push(socket));
  const sender = senderTo(port);
  await ask(sender);
  for (let round = 0; round < 20; round += 1) {
    const gone = once(sockets.at(-1) as Socket, 'close');
    sockets.at(-1)?.destroy();
    await gone;
    const { body, error, wasSent } = await ask(sender, { body: `"${round}"` });
    // whichever comes first, the end of the old connection or the request: nothing is ever sent twice
    if (error) expect(wasSent).toBe(true);
    else expect(body).toBe(`"${round}"`);
  }
});

test('does not use a connection again whose request had not left when the answer came', async () => {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.pause();
      socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const sender = senderTo((server.address() as { port: number }).port);
  for (let index = 0; index < 2; index += 1) expect(await ask(sender, { body: 'x'.repeat(20_000_000) })).toMatchObject({ status: 413 });
  expect(connections).toBe(2);
});

test.each([
  ['a line break in a header', { headers: ['x-a', 'one\r\nx-b: two'] }],
  ['a NUL in a header', { headers: ['x-a', '\0'] }],
  ['what is no Latin-1 in a header', { headers: ['x-a', '🎈'] }],
  ['a name that is none', { headers: ['x a', 'one'] }],
  ['a space in the path', { path: '/mcp HTTP/1.1\r\nx: y' }],
])('sends nothing with %s', async (_what, request) => {
  const { port, connections } = await serve((_request, body, response) => response.end(body));
  expect(await ask(senderTo(port), request)).toMatchObject({ wasSent: false, error: { name: 'TypeError' } });
  expect(connections()).toBe(0);
});

test('a reader that pauses slows the server down, and gets everything when it goes on', async () => {
  const total = 30 * 1024 * 1024;
  let written = 0;
  const { port } = await serve((_request, _body, response) => {
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const write = (): void => {
      while (written < total) {
        written += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', write);
      }
      response.end();
    };
    write();
  });
  const sender = senderTo(port);
  let read = 0;
  let flight: HttpFlight | undefined;
  const ended = new Promise<void>((resolve) => {
    flight = sender.send(
      { method: 'POST', path: '/', headers: [], body: '' },
      {
        onSent: () => undefined,
        onStart: () => flight?.pause(),
        onData: (chunk) => {
          read += chunk.length;
        },
        onEnd: resolve,
        onError: () => undefined,
      },
    );
  });
  await delay(300);
  expect(read).toBeLessThan(1024 * 1024);
  expect(written).toBeLessThan(total);
  flight?.resume();
  await ended;
  expect(read).toBe(total);
  expect((await ask(sender, { body: '' })).status).toBe(200);
});

test('standing requests do not take the places of others', async () => {
  const { port, connections } = await serve((request, body, response) => {
    if (request.method === 'GET') response.write('stands');
    else response.end(body);
  });
  const sender = senderTo(port, { mostConnections: 1 });
  for (let index = 0; index < 3; index += 1) void ask(sender, { method: 'GET', body: '', isStanding: true });
  expect((await ask(sender, { body: '"through"' })).body).toBe('"through"');
  await expect.poll(connections).toBe(4);
});

test('closing breaks what is under way and what waits, and sends nothing more', async () => {
  const { port } = await serve(() => undefined);
  const sender = senderTo(port, { mostConnections: 1 });
  const results = [ask(sender), ask(sender)];
  await delay(50);
  await sender.close();
  for (const result of await Promise.all(results)) expect(result.error?.code).toBe('ECONNABORTED');
  expect((await ask(sender)).error?.code).toBe('ECONNABORTED');
});

test('gives up a connection that cannot be made in time', async () => {
  // nobody answers at this address (RFC 5737), or the network says so at once
  const sender = createPlainSender('http://192.0.2.1:81', { connectTimeoutMs: 100, mostConnections: 1 });
  cleanups.push(() => sender.close());
  const { error, wasSent } = await ask(sender);
  expect(wasSent).toBe(false);
  expect(error?.code).toMatch(/^E(TIMEDOUT|NETUNREACH|HOSTUNREACH|CONNREFUSED|ACCES)$/);
});
