import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { adminToken } from '../support/running-gateway.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await people.gateway.ready('counting');
});
afterAll(async () => {
  await people.close();
  await server.close();
});

const call = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'act', arguments: { path: '/x' } } });

/** Sends a request by hand, for a client library would correct it. @param isWhole - false: the body that was announced never comes */
const send = (origin: string, path: string, headers: Record<string, string>, isWhole: boolean): Promise<string> => {
  const { port, host } = new URL(origin);
  const all = {
    host,
    authorization: `Bearer ${adminToken}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': String(Buffer.byteLength(call)),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.setTimeout(30_000, () => socket.destroy(new Error(`no answer to ${path} with ${JSON.stringify(headers)}`)));
    socket.once('error', reject);
    socket.on('data', (part) => {
      text += part;
      if (text.includes('\r\n\r\n')) {
        resolve(text.split('\r\n')[0] ?? '');
        socket.destroy();
      }
    });
    socket.write(`POST ${path} HTTP/1.1\r\n${head.join('')}\r\n${isWhole ? call : ''}`);
  });
};

/** Where the platform listens, and a path that takes a body there. */
const places = (): [string, string][] => [
  [people.gateway.publicUrl, '/mcp'],
  [people.gateway.publicUrl, '/mcp/counting'],
  [people.gateway.publicUrl, '/mcp/default/default/counting'],
  [people.gateway.publicUrl, '/v1/chat/completions'],
  [people.apiUrl, '/api/v1alpha1/apply'],
];

test('a page of another site, or one behind a rebound name, is answered 403 at every address before its body is there; no tool runs', async () => {
  for (const [origin, path] of places()) {
    const { port, host } = new URL(origin);
    const foreign: Record<string, string>[] = [
      ...[
        'https://evil.example',
        'null',
        `http://localhost.evil.example:${port}`,
        `http://127.0.0.1.evil.example:${port}`,
        `http://127.0.0.1:${Number(port) + 20}`,
        'http://127.0.0.1',
        `http://${host}.evil.example`,
        `http://evil.example@${host}.evil.example`,
      ].map((value) => ({ origin: value })),
      { host: `evil.example:${port}` },
      { host: `localhost.evil.example:${port}` },
      { host: 'evil.example', origin: 'http://evil.example' },
    ];
    // pages always say where they are from; whoever does not is judged when the few bytes are there, and still before they are parsed
    for (const headers of foreign)
      for (const isWhole of headers.origin === undefined ? [true] : [false, true])
        expect(await send(origin, path, headers, isWhole), `${path} ${JSON.stringify(headers)}`).toContain(' 403 ');
  }
  expect(server.countOf('act')).toBe(0);
});

test('the same call by a page of our own, and by who is no browser, runs', async () => {
  const { publicUrl } = people.gateway;
  const own: Record<string, string>[] = [{}, { origin: publicUrl }];
  for (const headers of own) expect(await send(publicUrl, '/mcp/counting', headers, true)).toContain(' 200 ');
  expect(server.countOf('act')).toBe(2);
});
