import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { SseReader } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

type Json = Record<string, unknown>;
let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startLegacyFixture>>;
const running: Awaited<ReturnType<typeof startGatewayProcess>>[] = [];

beforeAll(async () => {
  server = await startLegacyFixture();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'fixture' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'fixture' }, spec: { servers: [{ name: 'fixture' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'guests' }, spec: { subjects: [{ group: 'guests' }], toolsets: ['fixture'] } },
  );
  await gateway.ready('fixture');
});
afterAll(async () => {
  await Promise.all(running.map((replica) => replica.kill()));
  await gateway.close();
  await server.close();
});

/** A replica in a process of its own, on the same database. */
const startReplica = async () => {
  const port = await freePort();
  const publicUrl = `http://127.0.0.1:${port}`;
  const replica = await startGatewayProcess({ ...gateway.config, port, publicUrl });
  running.push(replica);
  const url = `${publicUrl}/mcp/fixture`;
  await pollUntil(async () => (await (await modern(url, 'tools/list')).text()).includes('greet') || undefined, 'its tools');
  return { url, kill: replica.kill };
};

const modern = (url: string, method: string, params: Json = {}) =>
  fetch(url, modernRequest(method, params, { headers: { authorization: `Bearer ${adminToken}` } }));
const send = (url: string, body: object, headers: Record<string, string>) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', ...body }),
  });
const begin = async (url: string, token: string): Promise<Record<string, string>> => {
  const authorization = `Bearer ${token}`;
  const params = { protocolVersion: '2025-11-25', capabilities: { elicitation: {} }, clientInfo: { name: 'bare', version: '1' } };
  const answer = await send(url, { id: 0, method: 'initialize', params }, { authorization });
  return { authorization, 'mcp-session-id': answer.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' };
};
const callOf = (id: number, name: string, args: Json = {}, _meta: Json = {}) => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args, _meta },
});
const greet = callOf(1, 'greet', { name: 'World' });

test('kill -9 of a replica: its sealed sessions go on at another one, which loses nothing of its own', async () => {
  const [first, second] = [await startReplica(), await startReplica()];
  const headers = await begin(first.url, adminToken);
  const standing = new SseReader(await fetch(first.url, { headers: { ...headers, accept: 'text/event-stream' } }));
  const place = (await standing.next())?.id;
  expect(await (await send(first.url, greet, headers)).text()).toContain('Hello, World!');
  // under way when it happens: a legacy and a modern call at the replica that dies, a modern one at the other
  const asked = callOf(2, 'slow_compute', { seconds: 60, label: 'legacy' }, { progressToken: 'p' });
  const legacyCall = send(first.url, asked, headers).then(
    (answer) => answer.text().catch(() => 'lost'),
    () => 'lost',
  );
  const slow = (seconds: number) => ({ name: 'slow_compute', arguments: { seconds, label: `${seconds}` } });
  const lost = modern(first.url, 'tools/call', slow(61)).then(
    (answer) => answer.text().catch(() => 'lost'),
    () => 'lost',
  );
  const kept = modern(second.url, 'tools/call', slow(2));
  await pollUntil(
    async () => (await gateway.audit()).filter(({ tool }) => tool === 'slow_compute').length >= 3 || undefined,
    'three calls',
  );
  await first.kill();

  // no `initialize`: the id alone is known there
  expect(await (await send(second.url, greet, headers)).text()).toContain('Hello, World!');
  const again = await fetch(second.url, { headers: { ...headers, accept: 'text/event-stream', 'last-event-id': place ?? '' } });
  expect([again.status, again.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  await again.body?.cancel();
  expect(await lost).toBe('lost');
  expect(await legacyCall).not.toContain('slow_compute legacy done');
  expect(await (await kept).text()).toContain('slow_compute 2 done');
  expect(await (await modern(second.url, 'tools/call', { name: 'greet', arguments: { name: 'you' } })).text()).toContain('Hello, you!');
  // a stolen id is as unknown as ever
  expect((await send(second.url, greet, { ...headers, authorization: `Bearer ${guestToken}` })).status).toBe(404);
});
