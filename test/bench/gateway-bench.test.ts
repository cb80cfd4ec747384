import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allCells, keyCell, quickCells, usualCells } from '../../bench/gateway/cells.ts';
import type { CellFigures } from '../../bench/gateway/measure-cell.ts';
import { flatResult, renderBench } from '../../bench/gateway/render-bench.ts';
import { type BenchResult, isSuspect, runGatewayBench } from '../../bench/gateway/run-gateway-bench.ts';
import { startChild } from '../../bench/gateway/start-child.ts';
import { median, quantile, rounded, spread } from '../../bench/gateway/statistics.ts';
import { makeBenchFolder } from '../../cli/bench/bench-folder.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { runCli } from '../support/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** What the recording proxy wrote, by kind. */
const countRecorded = async (databaseUrl: string): Promise<Record<string, number>> => {
  const database = openDatabase({ url: databaseUrl, name: 'bench-test', max: 1 });
  try {
    const text = `select kind, count(*)::int rows from audit_events where writer like 'recording-proxy-%' group by kind`;
    const { rows } = await database.$client.query<{ kind: string; rows: number }>(text);
    return Object.fromEntries(rows.map((row) => [row.kind, row.rows]));
  } finally {
    await closeDatabase(database);
  }
};

describe('a run with everything, for a moment each', () => {
  let result: BenchResult;
  let gatewayPid = 0;
  let recorded: Record<string, number>;
  const cells = [
    'read-c32-16B-json',
    'act-c1-16B-json',
    'read-c32-1MB-json',
    'read-c32-16B-sse',
    'read-c32-16B-json-5backends',
    'read-c32-10KB-json-masked',
  ];
  beforeAll(async () => {
    const { url: databaseUrl, close } = await startTestDatabase();
    try {
      const startGateway = async (config: Parameters<typeof startGatewayProcess>[0]) => {
        const gateway = await startGatewayProcess(config);
        gatewayPid = gateway.pid;
        return gateway;
      };
      const plan = {
        cells: allCells.filter(({ name }) => cells.includes(name)),
        rounds: 2,
        seconds: 0.05,
        warmSeconds: 0.05,
        listTools: 40,
        lists: true,
      };
      result = await runGatewayBench(
        { databaseUrl, folder, startGateway },
        { ...plan, memory: { sessions: 20, streams: 20 } },
        () => undefined,
      );
      recorded = await countRecorded(databaseUrl);
    } finally {
      await close();
    }
  }, 120_000);

  test('measures each cell without an error', () => {
    expect(result.cells.map(({ name }) => name).sort()).toEqual(cells.toSorted());
    for (const cell of result.cells) {
      expect(cell, cell.name).toMatchObject({ errors: 0 });
      expect(cell.direct * cell.bareProxy * cell.recordingProxy * cell.gateway * cell.ratioToDirect, cell.name).toBeGreaterThan(0);
      expect(cell.echoMicros, cell.name).toBeGreaterThan(0);
    }
  });

  test('its recording proxy has put each call on record, and each intent before its outcome', () => {
    expect(recorded.call).toBeGreaterThan(0);
    expect(recorded.intent).toBeGreaterThan(0);
    expect(recorded.outcome).toBeGreaterThan(0);
  });

  test('compares decisions with those of Cedar alone', () => {
    expect(result.decisions.cedarMicros * result.decisions.freshMicros * result.decisions.knownMicros).toBeGreaterThan(0);
    expect(result.decisions.knownMicros).toBeLessThan(result.decisions.freshMicros);
  });

  test('filters the long list by policy', () => {
    expect(result.lists).toMatchObject({ tools: 40, filteredTools: 20 });
  });

  test('opens sessions and streams, and says what they weigh', () => {
    expect(result.memory).toMatchObject({ sessions: 20, streams: 20 });
    expect(result.memory?.withMegabytes).toBeGreaterThan(10);
  });

  test('says what the disk and the database do', () => {
    expect(result.fdatasyncMs).toBeGreaterThan(0);
    expect(result.synchronousCommit).toMatch(/^(on|off)$/);
  });

  test('gives one flat object whose figures are those of the key cell, and a table', () => {
    const flat = flatResult(result);
    const key = result.cells.find(({ name }) => name === keyCell.name);
    for (const name of ['direct', 'bareProxy', 'gateway', 'ratioToDirect', 'ratioToBareProxy', 'addedP50Ms'] as const)
      expect(flat[name], name).toBe(key?.[name]);
    expect(flat).toMatchObject({ suspect: expect.any(Boolean), errors: 0, cells: result.cells });
    expect(JSON.parse(JSON.stringify(flat))).toHaveProperty('effectAddedP50MsAtOneConnection');
    const text = renderBench(result);
    for (const name of cells) expect(text).toContain(name);
  });

  test('leaves no process behind', () => {
    expect(isRunning(gatewayPid)).toBe(false);
  });
});

describe('a process of the bench', () => {
  test('ends when its parent is gone', async () => {
    const entry = fileURLToPath(new URL('../../bench/gateway/load-process.ts', import.meta.url));
    const child = fork(entry, [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] });
    const gone = once(child, 'exit');
    child.disconnect();
    await gone;
    expect(child.exitCode).toBe(0);
  });

  test('says what failed in it, and fails what it was asked when it ends', async () => {
    const child = startChild('./load-process.ts');
    await expect(child.ask('run', {})).rejects.toThrow(/load-process/);
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const asked = child.ask('run', { routes: [{ port, requests: ['x'] }], connections: 1, seconds: 60, expectedBytes: 0 });
    await once(silent, 'connection');
    await child.close();
    silent.close();
    await expect(asked).rejects.toThrow(/ended/);
    await expect(child.ask('processorMicros')).rejects.toThrow(/gone/);
  });
});

describe('the cells', () => {
  test('have a name each, and the usual ones are among all', () => {
    const names = allCells.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name } of [...usualCells, ...quickCells, keyCell]) expect(names).toContain(name);
  });
});

test('a run whose bare proxy is out of the usual range is suspect', () => {
  const withRatio = (bareProxyRatio: number) => ({ cells: [{ ...keyCell, bareProxyRatio } as CellFigures] });
  expect([0.2, 0.25, 0.45, 0.5].map((ratio) => isSuspect(withRatio(ratio)))).toEqual([true, false, false, true]);
});

test('figures: medians, quantiles, spread and digits', () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, 0]);
  expect([quantile([5, 1, 3], 0.5), quantile([1, 2, 3, 4], 0.99), quantile([], 0.5)]).toEqual([3, 4, 0]);
  expect([spread([9, 10, 11]), spread([])]).toEqual([0.2, 0]);
  expect([rounded(0.123456), rounded(1 / 0)]).toEqual([0.123, 0]);
});

test('takes away what a killed run has left, and nothing of one that still runs', () => {
  const root = join(folder, 'root');
  for (const name of ['999999999', String(process.ppid), 'notes']) mkdirSync(join(root, name), { recursive: true });
  const made = makeBenchFolder(root);
  expect(existsSync(made)).toBe(true);
  expect(readdirSync(root).sort()).toEqual([String(process.pid), String(process.ppid), 'notes'].sort());
});

test('refuses a cell or a number that is none, before it starts anything', async () => {
  for (const [args, what] of [
    [['--cell', 'read-c7-16B-json'], /there is no cell/],
    [['--seconds', 'x'], /not a number/],
    [['--rounds', '0'], /not a number/],
  ] as const) {
    const { code, stderr } = await runCli(['bench', 'gateway', ...args]);
    expect([code, stderr]).toEqual([2, expect.stringMatching(what)]);
  }
});
