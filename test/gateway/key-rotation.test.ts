import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';
import { askForSealKey, listSealKeys } from '../../store/seal-keys.ts';
import { startLegacyFixture } from '../support/conformance/legacy-server.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

const sealing = { pollMs: 50, sealsAfterMs: 400, everyMs: 50 };
const callers = 8;
const callsOfEach = 40;
let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startLegacyFixture>>;
const replicas: Awaited<ReturnType<typeof startGatewayProcess>>[] = [];
const urls: string[] = [];

const modern = (url: string, method: string, params: Record<string, unknown> = {}) =>
  fetch(url, modernRequest(method, params, { headers: { authorization: `Bearer ${adminToken}` } }));

beforeAll(async () => {
  server = await startLegacyFixture();
  gateway = await startRunningGateway({ sealing });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'fixture' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'fixture' }, spec: { servers: [{ name: 'fixture' }], naming: 'plain' } },
  );
  await gateway.ready('fixture');
  for (let count = 0; count < 2; count += 1) {
    const port = await freePort();
    const publicUrl = `http://127.0.0.1:${port}`;
    replicas.push(await startGatewayProcess({ ...gateway.config, port, publicUrl }));
    urls.push(`${publicUrl}/mcp/fixture`);
  }
  for (const url of urls)
    await pollUntil(async () => (await (await modern(url, 'tools/list')).text()).includes('greet') || undefined, 'its tools');
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.kill()));
  await gateway.close();
  await server.close();
});

test('keys of the gateway and of approvals rotate under load over two processes: no call fails, and each outcome is found afterwards', async () => {
  let done = 0;
  const failures: string[] = [];
  const ids: string[] = [];
  const sessions: { id: string; url: string }[] = [];
  const call = async (url: string, id: string): Promise<string> => {
    const answer = await modern(url, 'tools/call', { name: 'greet', arguments: { name: id }, _meta: { [operationIdMeta]: id } });
    return `${answer.status} ${await answer.text()}`;
  };
  const legacy = (url: string, body: object, headers: Record<string, string> = {}) =>
    fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${adminToken}`,
        ...headers,
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    });
  /** A session that one process began, used at the other: its id is sealed. */
  const openSession = async (url: string) => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bare', version: '1' } };
    const answer = await legacy(url, { id: 0, method: 'initialize', params });
    sessions.push({ id: answer.headers.get('mcp-session-id') ?? '', url });
    await answer.body?.cancel();
  };
  const useSession = async ({ id, url }: { id: string; url: string }) => {
    const other = urls.find((each) => each !== url) as string;
    const body = { id: 1, method: 'tools/call', params: { name: 'greet', arguments: { name: 'session' } } };
    const text = await (await legacy(other, body, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' })).text();
    if (!text.includes('Hello, session!')) failures.push(text);
  };
  const load = async (caller: number): Promise<void> => {
    for (
      let count = 0;
      count < callsOfEach || (await listSealKeys(gateway.database, 'gateway')).some(({ state }) => state === 'next');
      count += 1
    ) {
      const id = `op-${randomUUID()}`;
      ids.push(id);
      const text = await call(urls[(caller + count) % 2] as string, id);
      if (!text.includes(`Hello, ${id}!`)) failures.push(text);
      if (count % 10 === 0) await openSession(urls[count % 2] as string);
      for (const session of sessions.slice(-2)) await useSession(session);
      done += 1;
    }
  };
  const running = Array.from({ length: callers }, (_, caller) => load(caller));
  const made: string[] = [];
  for (const after of [20, 120]) {
    await pollUntil(async () => done >= after || undefined, `${after} calls`);
    made.push(await askForSealKey(gateway.database, 'gateway'), await askForSealKey(gateway.database, 'approvals'));
  }
  await Promise.all(running);
  expect(failures).toEqual([]);
  expect(done).toBeGreaterThanOrEqual(callers * callsOfEach);
  const newest = made[2] as string;
  const keys = await pollUntil(async () => {
    const listed = await listSealKeys(gateway.database, 'gateway');
    return listed.every(({ id, rows }) => id === newest || rows === 0) ? listed : undefined;
  }, 'everything stands on the newest key');
  expect(keys.find(({ id }) => id === newest)).toMatchObject({ state: 'active' });
  expect(keys.find(({ id }) => id === newest)?.rows).toBeGreaterThan(0);
  // whoever comes back for an outcome gets it, at either process, and nothing is done again
  const settled = async () => (await gateway.database.$client.query('select count(*), max(settled_at) from operations')).rows[0];
  const before = await settled();
  for (const id of [ids[0], ids[Math.floor(ids.length / 2)], ids.at(-1)] as string[])
    for (const url of urls) expect(await call(url, id)).toContain(`Hello, ${id}!`);
  expect(await settled()).toEqual(before);
  for (const session of sessions) await useSession(session);
  expect(failures).toEqual([]);
});
