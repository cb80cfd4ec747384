import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServerLaunchInput } from '../../../schema/server-launch.ts';
import { type HostHarness, startTestHost, supportFolder, until } from '../../runtime/support/host-harness.ts';
import { openHostSession } from '../../runtime/support/host-session.ts';

let host: HostHarness;
let now = 1_000_000;
beforeAll(async () => {
  host = await startTestHost({ isCaged: true, now: () => now });
});
afterAll(() => host.close());

const marker = `marker-sessions-${process.pid}`;
const launchOf = (index: number): ServerLaunchInput => ({
  id: `default/default/thousand/${index}`,
  digest: 'x',
  instance: 'session',
  program: { kind: 'command', command: ['/bin/sh', '/server/session-server.sh', marker] },
  mounts: [{ source: supportFolder, at: '/server', mode: 'ro' }],
});

/** Processes of this machine whose command line holds the marker. */
const marked = async (): Promise<number> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(marker)).length;
};

test('a thousand sessions opened and dropped leave no process behind, said goodbye or not', { timeout: 240_000 }, async () => {
  let next = 0;
  let most = 0;
  const visit = async (): Promise<void> => {
    for (let index = next++; index < 1_000; index = next++) {
      const launch = launchOf(index);
      expect((await host.ensure(launch)).status).toBe(200);
      const session = await openHostSession(host, launch.id, { roots: {} });
      expect((await session.ask('ping')).result).toEqual({});
      // Every fortieth is that of a gateway that died: it never says that it is done.
      if (index % 40 !== 0) expect((await session.end()).status).toBe(204);
      if (index % 100 === 50) most = Math.max(most, await marked());
    }
  };
  await Promise.all(Array.from({ length: 8 }, visit));
  expect(most).toBeGreaterThan(0);
  const { instances } = (await (await host.request('GET', '/instances')).json()) as { instances: unknown[] };
  expect(instances).toHaveLength(25);
  now += 600_000;
  await until(async () => (await marked()) === 0, 'no process is left');
  expect(await (await host.request('GET', '/instances')).json()).toEqual({ instances: [] });
});
