import { afterAll, beforeAll, expect, test } from 'vitest';
import { startCountingServer } from '../../support/counting-server.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { connectModernPeer } from '../../support/sdk-peers.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
beforeAll(async () => {
  server = await startCountingServer();
  gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
  );
  await gateway.ready('counting');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
});

const readiness = async (): Promise<string | undefined> => {
  const { rows } = await gateway.database.$client.query(`select status from resources where kind = 'McpServer' and name = 'counting'`);
  return (rows[0].status.conditions as { type: string; status: string }[]).find(({ type }) => type === 'Ready')?.status;
};

test('a server that is killed is said not to be ready within a minute though nobody calls it, and to be ready when it is back', async () => {
  await pollUntil(async () => (await readiness()) === 'True' || undefined, 'its condition');
  await server.close();
  const killedAt = performance.now();
  await pollUntil(async () => (await readiness()) === 'False' || undefined, 'the condition to say so', 60_000);
  expect(performance.now() - killedAt).toBeLessThan(60_000);
  const peer = await connectModernPeer(`${gateway.publicUrl}/mcp/counting`, adminToken);
  const askedAt = performance.now();
  await expect(peer.callTool('look')).rejects.toMatchObject({ code: -32010, data: { code: 'server_unavailable' } });
  expect(performance.now() - askedAt).toBeLessThan(5000);
  server = await startCountingServer(server.port);
  await pollUntil(async () => (await readiness()) === 'True' || undefined, 'its condition', 60_000);
  expect((await peer.callTool('look')).isError).toBeFalsy();
  await peer.close();
});
