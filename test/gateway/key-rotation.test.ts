import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { originalKey } from '../../schema/seal-key.ts';
import { operationIdMeta } from '../../schema/workflow-contract.ts';
import { askForSealKey, listSealKeys, retireSealKey } from '../../store/seal-keys.ts';
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
  let isRotating = true;
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
  const askSession = async ({ id, url }: { id: string; url: string }): Promise<string> => {
    const other = urls.find((each) => each !== url) as string;
    const body = { id: 1, method: 'tools/call', params: { name: 'greet', arguments: { name: 'session' } } };
    const answer = await legacy(other, body, { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' });
    return `${answer.status} ${await answer.text()}`;
  };
  const useSession = async (session: { id: string; url: string }) => {
    const text = await askSession(session);
    if (!text.includes('Hello, session!')) failures.push(text);
  };
  const load = async (caller: number): Promise<void> => {
    for (let count = 0; count < callsOfEach || isRotating; count += 1) {
      const id = `op-${randomUUID()}`;
      ids.push(id);
      const text = await call(urls[(caller + count) % 2] as string, id);
      if (!text.includes(`Hello, ${id}!`)) failures.push(text);
      if (count % 10 === 0) await openSession(urls[count % 2] as string);
      for (const session of sessions.slice(-2)) await useSession(session);
      done += 1;
    }
  };
  for (let count = 0; count < 60; count += 1) await openSession(urls[0] as string);
  const unused = sessions.splice(0);
  const running = Array.from({ length: callers }, (_, caller) => load(caller));
  const made: string[] = [];
  const seals = async (name: 'gateway' | 'approvals', id: string | undefined) =>
    (await listSealKeys(gateway.database, name)).some((key) => key.id === id && key.state === 'active') || undefined;
  for (const after of [20, 120]) {
    await pollUntil(async () => done >= after || undefined, `${after} calls`);
    made.push(await askForSealKey(gateway.database, 'gateway'), await askForSealKey(gateway.database, 'approvals'));
    // the next one is asked for once this one seals, or it would be this one
    await pollUntil(() => seals('gateway', made.at(-2)), 'the key to seal');
    await pollUntil(() => seals('approvals', made.at(-1)), 'that of approvals to seal');
  }
  expect(new Set(made).size).toBe(4);
  isRotating = false;
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
  for (const [index, id] of ids.entries()) expect(await call(urls[index % 2] as string, id)).toContain(`Hello, ${id}!`);
  expect(await settled()).toEqual(before);
  for (const session of sessions) await useSession(session);
  expect(failures).toEqual([]);

  // a key that is retired opens nothing that a client kept: its session is one that nobody knows, and no fault of the gateway's
  await retireSealKey(gateway.database, { name: 'gateway', id: originalKey }, new Date(Date.now() + 1000), 0);
  const answers: string[] = [];
  await pollUntil(async () => {
    // each is shown once, for a process goes on with a session that it has met
    answers.push(await askSession(unused.pop() as (typeof unused)[number]));
    return answers.at(-1)?.startsWith('404 ') || undefined;
  }, 'sessions of the retired key to be unknown');
  expect(answers.slice(0, -1).every((text) => text.includes('Hello, session!'))).toBe(true);
  await useSession(sessions.at(-1) as (typeof sessions)[number]);
  expect(await call(urls[0] as string, ids[0] as string)).toContain(`Hello, ${ids[0]}!`);
  expect(failures).toEqual([]);
});
