import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { findResource } from '../../store/resources.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startRawMcpServer } from '../support/raw-mcp-server.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

const tenancy = { org: 'default', project: 'default' };
let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await startRunningGateway();
});
afterAll(() => gateway.close());

const condition = async (kind: 'McpServer' | 'Toolset', name: string) =>
  (await findResource(gateway.database, { ...tenancy, kind, name }))?.status.conditions.find(({ type }) => type === 'Ready');
const untilReady = (status: 'True' | 'False', deadlineMs: number) =>
  pollUntil(
    async () => {
      const ready = await condition('McpServer', 'mortal');
      return ready?.status === status ? ready : undefined;
    },
    `Ready=${status}`,
    deadlineMs,
  );

test('a server that is killed is said to be so, and is taken back by itself when it returns', { timeout: 90_000 }, async () => {
  const port = await freePort();
  const first = await startRawMcpServer({}, { port });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'mortal' }, spec: { url: first.url } },
    { kind: 'Toolset', metadata: { name: 'tools' }, spec: { servers: [{ name: 'mortal' }], naming: 'plain' } },
  );
  expect(await untilReady('True', 10_000)).toMatchObject({ reason: 'Answers', message: '1 tools; isolation tier 0' });
  await pollUntil(async () => (await condition('Toolset', 'tools'))?.status === 'True' || undefined, 'the toolset');
  await first.close();
  expect(await untilReady('False', 60_000)).toMatchObject({ reason: 'server_unavailable' });
  const second = await startRawMcpServer({}, { port });
  await untilReady('True', 60_000);
  await second.close();
});
