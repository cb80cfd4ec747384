import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { processorMicrosOf, processTree } from '../../../bench/gateway/processes.ts';
import { createPlatformPlace } from '../../support/running-platform.ts';

/** What an idle installation may take (design §11). */
const most = { percentOfCore: 2, megabytes: 1000 };
const warmMs = 60_000;
const measuredMs = 120_000;

/** Which part of the platform a process is. */
const partOf = (pid: number): string => {
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  if (/postgres/.test(command.split(' ')[0] ?? '') || command.startsWith('postgres:')) return 'postgres';
  return /process\.ts (\S+)/.exec(command)?.[1] ?? (/temporal/.test(command) ? 'temporal' : 'supervisor');
};

/** Memory that is a process's own, and its share of what several have, in megabytes (10^6 bytes). */
const megabytesOf = (pid: number): number =>
  (Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) * 1024) / 1e6;

test('the whole platform idle takes at most 2 % of a core and 1 GB, Postgres and Temporal included', { timeout: 600_000 }, async () => {
  const place = await createPlatformPlace();
  try {
    const { pid } = (await place.start()).ready;
    await delay(warmMs);
    const before = new Map(processTree(pid).map((each) => [each, processorMicrosOf(each) ?? 0]));
    await delay(measuredMs);
    const parts = new Map<string, { percentOfCore: number; megabytes: number }>();
    const all = { percentOfCore: 0, megabytes: 0 };
    for (const each of processTree(pid)) {
      const name = partOf(each);
      const percentOfCore = ((processorMicrosOf(each) ?? 0) - (before.get(each) ?? 0)) / (measuredMs * 10);
      const megabytes = megabytesOf(each);
      const known = parts.get(name) ?? { percentOfCore: 0, megabytes: 0 };
      parts.set(name, { percentOfCore: known.percentOfCore + percentOfCore, megabytes: known.megabytes + megabytes });
      all.percentOfCore += percentOfCore;
      all.megabytes += megabytes;
    }
    for (const [name, { percentOfCore, megabytes }] of [...parts, ['all', all] as const])
      console.log(`${name.padEnd(12)} ${percentOfCore.toFixed(2).padStart(5)} % of a core ${megabytes.toFixed(0).padStart(5)} MB`);
    expect(all.percentOfCore).toBeLessThanOrEqual(most.percentOfCore);
    expect(all.megabytes).toBeLessThanOrEqual(most.megabytes);
  } finally {
    place.close();
  }
});
