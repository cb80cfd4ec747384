import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HostHarness, isAlive, startTestHost, supportFolder } from '../runtime/support/host-harness.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { connectLegacyPeer, connectModernPeer, type Peer } from '../support/sdk-peers.ts';

let host: HostHarness;
let gateway: RunningGateway;
const peers: Peer[] = [];

beforeAll(async () => {
  host = await startTestHost({ isCaged: false });
  gateway = await startRunningGateway({ hostUrl: host.address, hostKey: host.config.key });
  const spec = { command: ['node', '/server/tiny-server.ts'], mounts: [{ source: supportFolder, at: '/server', mode: 'ro' }] };
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'tiny' }, spec },
    { kind: 'Toolset', metadata: { name: 'tiny' }, spec: { servers: [{ name: 'tiny' }], naming: 'plain' } },
  );
  await gateway.ready('tiny');
});
afterAll(async () => {
  for (const peer of peers) await peer.close().catch(() => undefined);
  await gateway.close();
  await host.close();
});

const connect = async (by: typeof connectLegacyPeer): Promise<Peer> => {
  const peer = await by(`${gateway.publicUrl}/mcp/tiny`, adminToken);
  peers.push(peer);
  return peer;
};
const textOf = (result: Record<string, unknown>): string => (result.content as { text: string }[])[0]?.text ?? '';
const pidThrough = async (peer: Peer): Promise<number> => JSON.parse(textOf(await peer.callTool('about'))).pid;

test('clients that come one after another to one stdio server are served by one process, each with its own answers and progress', async () => {
  // the SDK numbers the requests of each client from nought, so that the ids of all are the same
  const clients = [await connect(connectLegacyPeer), await connect(connectLegacyPeer), await connect(connectModernPeer)];
  const pids = new Set(await Promise.all(clients.map(pidThrough)));
  expect(pids.size).toBe(1);
  const heard = clients.map((): number[] => []);
  await Promise.all(
    clients.map(async (client, index) => {
      const steps = index + 2;
      const onProgress = ({ progress }: { progress: number }) => void heard[index]?.push(progress);
      for (let round = 0; round < 5; round += 1) {
        expect(textOf(await client.callTool('echo', { text: `${index}/${round}` }))).toBe(`${index}/${round}`);
      }
      expect(textOf(await client.callTool('progress', { steps }, { onProgress }))).toBe('done');
    }),
  );
  expect(heard).toEqual([
    [1, 2],
    [1, 2, 3],
    [1, 2, 3, 4],
  ]);
});

test('a stdio server that is killed is started again, and nobody is served by the dead one', async () => {
  const [legacy, modern] = [await connect(connectLegacyPeer), await connect(connectModernPeer)];
  const before = await pidThrough(legacy);
  process.kill(before, 'SIGKILL');
  await pollUntil(() => !isAlive(before) || undefined, 'its end');
  const pids = await Promise.all(
    [legacy, modern].map((peer) => pollUntil(() => pidThrough(peer).catch(() => undefined), 'the server to serve again', 10_000)),
  );
  expect(pids[0]).toBe(pids[1]);
  expect(pids[0]).not.toBe(before);
  const { rows } = await gateway.database.$client.query(`select status from resources where kind = 'McpServer' and name = 'tiny'`);
  expect(rows[0].status.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
});
