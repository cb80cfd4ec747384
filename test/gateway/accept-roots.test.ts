import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LegacyClient, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RawMcpServer, startRawMcpServer } from '../support/raw-mcp-server.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let server: RawMcpServer;
let gateway: RunningGateway;
beforeAll(async () => {
  let sessions = 0;
  server = await startRawMcpServer({
    initialize: (_message, { response }) => {
      sessions += 1;
      response.setHeader('mcp-session-id', `own-${sessions}`);
      return { result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } } };
    },
  });
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'raw' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'raw' }, spec: { servers: [{ name: 'raw' }], naming: 'plain' } },
  );
  await gateway.ready('raw');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

const open = (): Promise<LegacyClient> =>
  startLegacyClient({ url: `${gateway.publicUrl}/mcp/raw` } as never, { capabilities: { roots: { listChanged: true } }, as: adminToken });
const act = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'act', arguments: {} } };
const changed = { jsonrpc: '2.0', method: 'notifications/roots/list_changed' };
const told = () => server.seen.filter(({ method }) => method === changed.method).map(({ headers }) => headers['mcp-session-id']);

test('that the roots of a client changed is told to the servers that hold a session of this client, and in no other session', async () => {
  const [one, two, idle] = [await open(), await open(), await open()];
  for (const client of [one, two]) expect(await (await client.post(act)).text()).toContain('done');
  const [, ofOne] = [
    ...new Set(server.seen.filter(({ method }) => method === 'tools/call').map(({ headers }) => headers['mcp-session-id'])),
  ].reverse();
  expect((await idle.post(changed)).status).toBe(202);
  expect((await one.post(changed)).status).toBe(202);
  await pollUntil(() => (told().length > 0 ? true : undefined), 'the server to be told');
  expect(told()).toEqual([ofOne]);
});
