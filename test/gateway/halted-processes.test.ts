import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HaltScope } from '../../schema/halt.ts';
import { liftHalt, putHalt } from '../../store/halts.ts';
import { type HostHarness, isAlive, startTestHost, supportFolder } from '../runtime/support/host-harness.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest } from '../support/running-edge.ts';
import { adminToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let host: HostHarness;
let gateway: RunningGateway;
const place = { org: 'default', project: 'default' };

beforeAll(async () => {
  host = await startTestHost({ isCaged: false });
  gateway = await startRunningGateway({ hostUrl: host.address, hostKey: host.config.key });
  const tiny = { command: ['node', '/server/tiny-server.ts'], mounts: [{ source: supportFolder, at: '/server', mode: 'ro' }] };
  await gateway.apply(
    ...(['tiny', 'beside'] as const).flatMap((name) => [
      { kind: 'McpServer', metadata: { name }, spec: tiny },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    ]),
    { kind: 'McpServer', metadata: { name: 'per-run' }, spec: { ...tiny, instance: 'run' } },
    { kind: 'Toolset', metadata: { name: 'per-run' }, spec: { servers: [{ name: 'per-run' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['per-run'] } },
  );
  for (const name of ['tiny', 'beside', 'per-run']) await gateway.ready(name);
});
afterAll(async () => {
  await gateway.close();
  await host.close();
});

const call = async (toolset: string, token = adminToken): Promise<string> => {
  const request = modernRequest('tools/call', { name: 'about', arguments: {} }, { headers: { authorization: `Bearer ${token}` } });
  return (await fetch(`${gateway.publicUrl}/mcp/default/default/${toolset}`, request)).text();
};
const pidFrom = (text: string): number => {
  const found = /\\"pid\\":(\d+)/.exec(text)?.[1];
  if (found === undefined) throw new Error(text);
  return Number(found);
};
const halt = (scope: HaltScope, name: string) =>
  putHalt(gateway.database, { ...place, scope, name, reason: '', haltedBy: 'admin', decisionId: 'dec' });
const ended = (pid: number) => pollUntil(() => !isAlive(pid) || undefined, 'the end of a process');

test('processes of a halted server are stopped, those of others run on, and it starts again when that is lifted', async () => {
  const pid = pidFrom(await call('tiny'));
  const beside = pidFrom(await call('beside'));
  const haltedAt = performance.now();
  await halt('server', 'tiny');
  await ended(pid);
  expect(performance.now() - haltedAt).toBeLessThan(2_000);
  expect(await call('tiny')).toContain('"code":"halted"');
  expect(pidFrom(await call('beside'))).toBe(beside);
  const { instances } = (await (await host.request('GET', '/instances')).json()) as { instances: { id: string }[] };
  expect(instances.map(({ id }) => id)).not.toContain('default/default/tiny');
  await liftHalt(gateway.database, { ...place, scope: 'server', name: 'tiny' });
  const again = await pollUntil(async () => {
    const text = await call('tiny');
    return text.includes('pid') ? pidFrom(text) : undefined;
  }, 'the server to be back');
  expect(again).not.toBe(pid);
});

test('the process that serves a halted run alone is gone, also where another gateway had it started', async () => {
  const [first, second] = [await gateway.addAgent(), await gateway.addAgent()];
  const tokenOf = ({ id }: { id: string }) => gateway.mint(id, `${gateway.publicUrl}/mcp/default/default/per-run`);
  const halted = pidFrom(await call('per-run', await tokenOf(first)));
  const free = pidFrom(await call('per-run', await tokenOf(second)));
  await gateway.restart();
  expect(isAlive(halted)).toBe(true);
  await halt('run', first.runId);
  await ended(halted);
  await gateway.ready('beside');
  expect(isAlive(free)).toBe(true);
  expect(await call('per-run', await tokenOf(first))).toContain('"code":"halted"');
});
