import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Clock } from '../../cli/up/backoff.ts';
import { spawnCommand } from '../../cli/up/command.ts';
import { type LastWill, makeLastWill } from '../../cli/up/last-will.ts';
import type { Part } from '../../cli/up/part.ts';
import { type Supervised, supervise } from '../../cli/up/supervise.ts';
import { pollUntil } from '../support/poll-until.ts';

let folder: string;
let lastWill: LastWill;
let supervised: Supervised | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-supervise-'));
  lastWill = makeLastWill();
});

afterEach(async () => {
  await supervised?.stop();
  supervised = undefined;
  lastWill.revoke();
  rmSync(folder, { recursive: true, force: true });
});

/** A clock that stands still but for the pauses, which it notes and ends at once; `livedMs` is how long each life seems to take. */
const instantClock = (livedMs = 0) => {
  const pauses: number[] = [];
  let now = 0;
  const clock: Clock = {
    now: () => {
      now += livedMs;
      return now;
    },
    wait: async (ms) => {
      pauses.push(ms);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
  return { clock, pauses };
};

/** A shell as a part; it serves when it has written the file `ready`. */
const shellPart = (script: string, more: Partial<Part> = {}): Part => ({
  name: 'shell',
  stopSignal: 'SIGTERM',
  stopGraceMs: 300,
  launch: () => {
    const log = openSync(join(folder, 'log'), 'a');
    const child = spawnCommand({ file: '/bin/sh', args: ['-c', script], env: { PATH: '/usr/bin:/bin' }, cwd: folder }, [
      'ignore',
      log,
      log,
    ]);
    closeSync(log);
    const ready = pollUntil(() => {
      try {
        return readFileSync(join(folder, 'ready'), 'utf8') !== '';
      } catch {
        return undefined;
      }
    }, 'the shell').then(() => undefined);
    ready.catch(() => undefined);
    return { child, ready };
  },
  ...more,
});

const start = (part: Part, clock: Clock) => {
  const lines: string[] = [];
  supervised = supervise(part, {
    clock,
    lastWill,
    onChange: () => undefined,
    onLine: (line) => lines.push(line),
    lastWords: () => 'its last words',
  });
  return { supervised, lines };
};

test('starts a killed process again, says so, and counts it', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  const { supervised, lines } = start(shellPart('sleep 60'), instantClock(1000).clock);
  await supervised.ready;
  const { pid } = supervised.report();
  process.kill(pid ?? 0, 'SIGKILL');
  const after = await pollUntil(() => {
    const report = supervised.report();
    return report.state === 'running' && report.pid !== pid ? report : undefined;
  }, 'the second life');
  expect(after.restarts).toBe(1);
  expect(lines).toEqual(['shell was ended by SIGKILL; it is started again in 0.2 s', 'shell runs again']);
});

test('a process that is to be restarted ends, by force where it does not, and another serves', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  const { supervised } = start(shellPart("trap '' TERM; sleep 60 & wait; sleep 60"), instantClock(1000).clock);
  await supervised.ready;
  const { pid } = supervised.report();
  supervised.restart();
  const after = await pollUntil(() => {
    const report = supervised.report();
    return report.state === 'running' && report.pid !== pid ? report : undefined;
  }, 'the second life');
  expect(after.restarts).toBe(1);
});

test('waits twice as long after each failure in a row, and ten seconds at most', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  const { clock, pauses } = instantClock();
  const { supervised } = start(shellPart('test -e broken && exit 1; sleep 60'), clock);
  await supervised.ready;
  writeFileSync(join(folder, 'broken'), 'yes');
  process.kill(supervised.report().pid ?? 0, 'SIGKILL');
  await pollUntil(() => pauses.length >= 8 || undefined, 'eight pauses');
  expect(pauses.slice(0, 8)).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
});

test('counts a failure after half a minute of life as the first', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  const { clock, pauses } = instantClock(30_000);
  const { supervised } = start(shellPart('test -e broken && exit 1; sleep 60'), clock);
  await supervised.ready;
  writeFileSync(join(folder, 'broken'), 'yes');
  process.kill(supervised.report().pid ?? 0, 'SIGKILL');
  await pollUntil(() => pauses.length >= 3 || undefined, 'three pauses');
  expect(pauses.slice(0, 3)).toEqual([200, 200, 200]);
});

test('gives up on a process that never served, with its last words', async () => {
  const { clock, pauses } = instantClock();
  const { supervised } = start(shellPart('exit 3'), clock);
  await expect(supervised.ready).rejects.toThrow('shell does not start: its last words.');
  expect(pauses).toHaveLength(3);
  expect(supervised.report().state).toBe('stopped');
});

test('ends a process that says it cannot serve, and passes on why', async () => {
  const part = shellPart('sleep 60');
  const { supervised } = start(
    { ...part, launch: () => ({ child: part.launch().child, ready: Promise.reject(new Error('the key is missing')) }) },
    instantClock().clock,
  );
  await expect(supervised.ready).rejects.toThrow('shell does not start: the key is missing.');
  expect(supervised.report()).toMatchObject({ state: 'stopped', pid: undefined });
});

test('makes a process end that ignores the request, with what it started', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  const { supervised } = start(shellPart("trap '' TERM; sleep 61 & echo $! > child; wait; sleep 60"), instantClock().clock);
  await supervised.ready;
  const child = await pollUntil(() => {
    try {
      return Number(readFileSync(join(folder, 'child'), 'utf8')) || undefined;
    } catch {
      return undefined;
    }
  }, 'the child');
  await supervised.stop();
  expect(supervised.report().state).toBe('stopped');
  await pollUntil(() => {
    try {
      process.kill(child, 0);
      return undefined;
    } catch {
      return true;
    }
  }, 'the end of the child');
});

test('does not start a process again that is being stopped', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  const { clock, pauses } = instantClock();
  const { supervised, lines } = start(shellPart('exec sleep 60'), clock);
  await supervised.ready;
  await supervised.stop();
  expect({ state: supervised.report().state, pauses, lines }).toEqual({ state: 'stopped', pauses: [], lines: [] });
});

test('tries again when a process that served cannot even be launched', async () => {
  writeFileSync(join(folder, 'ready'), 'yes');
  let launches = 0;
  const part = shellPart('sleep 60');
  const launch = () => {
    launches += 1;
    if (launches === 2) throw new Error('no space left on the device');
    return part.launch();
  };
  const { supervised, lines } = start({ ...part, launch }, instantClock(1000).clock);
  await supervised.ready;
  process.kill(supervised.report().pid ?? 0, 'SIGKILL');
  await pollUntil(() => (launches === 3 && supervised.report().state === 'running') || undefined, 'the third launch');
  expect(lines).toContain('shell does not start: no space left on the device; it is started again in 0.4 s');
});
