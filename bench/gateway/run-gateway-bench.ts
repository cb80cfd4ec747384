import { availableParallelism } from 'node:os';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { type Cell, keyCell, manyBackends, warmCells } from './cells.ts';
import { type CellFigures, measureCell, type Stage, warmUp } from './measure-cell.ts';
import { type DecisionFigures, measureDecisions } from './measure-decisions.ts';
import { measureFdatasync } from './measure-disk.ts';
import { type ListFigures, measureLists } from './measure-lists.ts';
import { type MemoryFigures, measureMemory } from './measure-memory.ts';
import { prepareGateway } from './prepare-gateway.ts';
import { type Child, startChild } from './start-child.ts';

/** What the bench needs and does not start itself. */
export type BenchPlaces = {
  /** An empty, migrated database. */
  databaseUrl: string;
  postgresPid?: number;
  /** A folder on the disk that the database writes to. */
  folder: string;
  startGateway: (config: GatewayConfig) => Promise<{ pid: number; close(): Promise<void> }>;
};

export type BenchPlan = {
  cells: readonly Cell[];
  /** Of each target, taken in turn. */
  rounds: number;
  /** Of one target in one round. */
  seconds: number;
  /** For which the gateway is called before anything is measured, with calls of each kind. */
  warmSeconds: number;
  /** Tools in the long list. */
  listTools: number;
  memory?: { sessions: number; streams: number };
  lists: boolean;
};

export type BenchResult = {
  cells: CellFigures[];
  decisions: DecisionFigures;
  lists?: ListFigures;
  memory?: MemoryFigures;
  fdatasyncMs: number;
  synchronousCommit: string;
  processors: number;
  node: string;
};

/** The bare proxy's share of the direct calls lies here on a machine that measures well (`field/gateway-speed.md`). */
const trustedBareProxy = [0.25, 0.45] as const;

/** A run whose reference is out of its range says something about the machine and nothing about the gateway. */
export const isSuspect = ({ cells }: Pick<BenchResult, 'cells'>): boolean => {
  const key = cells.find(({ name }) => name === keyCell.name);
  return key !== undefined && (key.bareProxyRatio < trustedBareProxy[0] || key.bareProxyRatio > trustedBareProxy[1]);
};

const synchronousCommitOf = async (databaseUrl: string): Promise<string> => {
  const database = openDatabase({ url: databaseUrl, name: 'bench', max: 1 });
  try {
    const { rows } = await database.$client.query<{ synchronous_commit: string }>('show synchronous_commit');
    return rows[0]?.synchronous_commit ?? 'unknown';
  } finally {
    await closeDatabase(database);
  }
};

/**
 * Measures the gateway in its default configuration (token, policies, pins, schema checks, durable audit) against the same server called
 * directly, through a bare proxy and through one that only puts calls on record, each in a process of its own.
 * @param onLine - told what goes on
 */
export const runGatewayBench = async (places: BenchPlaces, plan: BenchPlan, onLine: (text: string) => void): Promise<BenchResult> => {
  const children: Child[] = [];
  const child = (file: string): Child => {
    const started = startChild(file);
    children.push(started);
    return started;
  };
  let gateway: Stage['gateway'] | undefined;
  try {
    const echo = child('./echo-process.ts');
    const ports = await echo.ask<{ echoPorts: number[]; manyPort: number }>('start', { echoes: manyBackends, many: plan.listTools });
    const bareProxy = child('./bare-proxy-process.ts');
    const bareProxyPort = await bareProxy.ask<number>('start', { ports: ports.echoPorts });
    const recordingProxy = child('./recording-proxy-process.ts');
    const recordingProxyPort = await recordingProxy.ask<number>('start', { ports: ports.echoPorts, databaseUrl: places.databaseUrl });
    const fdatasyncMs = measureFdatasync(places.folder);
    gateway = await prepareGateway({ databaseUrl: places.databaseUrl, start: places.startGateway }, ports);
    const stage: Stage = {
      load: child('./load-process.ts'),
      echo,
      ...ports,
      bareProxy,
      bareProxyPort,
      recordingProxy,
      recordingProxyPort,
      gateway,
      ...(places.postgresPid === undefined ? {} : { postgresPid: places.postgresPid }),
    };
    const result: BenchResult = {
      cells: [],
      decisions: measureDecisions({ seconds: plan.seconds / 2 }),
      fdatasyncMs,
      synchronousCommit: await synchronousCommitOf(places.databaseUrl),
      processors: availableParallelism(),
      node: process.version,
    };
    onLine('warming up …');
    await warmUp(stage, warmCells, plan.warmSeconds);
    for (const cell of plan.cells) {
      onLine(`${cell.name} …`);
      result.cells.push(await measureCell(cell, stage, plan));
    }
    if (plan.lists) {
      onLine(`tools/list of ${plan.listTools} tools …`);
      result.lists = await measureLists(stage, plan);
    }
    if (plan.memory) {
      onLine(`memory with ${plan.memory.sessions} sessions and ${plan.memory.streams} streams …`);
      result.memory = await measureMemory(stage, { ...plan.memory, rounds: plan.rounds, seconds: plan.seconds });
    }
    return result;
  } finally {
    await gateway?.close();
    await Promise.all(children.map((each) => each.close()));
  }
};
