import type { Cell } from './cells.ts';
import { resultSizes, toolName } from './echo-tools.ts';
import type { LoadPlan, LoadResult, Route } from './load-process.ts';
import type { PreparedGateway } from './prepare-gateway.ts';
import { processorMicrosOf, processorMicrosOfTree } from './processes.ts';
import { callRequests } from './requests.ts';
import type { Child } from './start-child.ts';
import { median, rounded, spread } from './statistics.ts';

/** Everything that runs while the bench does. */
export type Stage = {
  load: Child;
  echo: Child;
  echoPorts: number[];
  manyPort: number;
  bareProxy: Child;
  bareProxyPort: number;
  recordingProxy: Child;
  recordingProxyPort: number;
  gateway: PreparedGateway;
  postgresPid?: number;
};

/** What one cell came to; times are milliseconds, processor times microseconds for one call. */
export type CellFigures = Cell & {
  direct: number;
  bareProxy: number;
  recordingProxy: number;
  gateway: number;
  ratioToDirect: number;
  ratioToBareProxy: number;
  ratioToRecordingProxy: number;
  bareProxyRatio: number;
  recordingProxyRatio: number;
  /** What the recording proxy reaches of the bare one. */
  recordingOfBareProxy: number;
  addedP50Ms: number;
  addedP99Ms: number;
  gatewayP50Ms: number;
  gatewayP99Ms: number;
  echoMicros: number;
  bareProxyMicros: number;
  recordingProxyMicros: number;
  gatewayMicros: number | null;
  postgresMicros: number | null;
  /** Processor time of the gateway over that of the server, for one call through the gateway. */
  timesEcho: number | null;
  /** How far the rounds of the direct calls lie apart: the noise of the machine. */
  spread: number;
  errors: number;
  firstError?: string;
};

const targets = ['direct', 'bareProxy', 'recordingProxy', 'gateway'] as const;
type Target = (typeof targets)[number];
type Slice = LoadResult & {
  echoMicros: number;
  bareProxyMicros: number;
  recordingProxyMicros: number;
  gatewayMicros?: number;
  postgresMicros?: number;
};

const routesTo = (target: Target, { effect, size, encoding, backends, isMasked }: Cell, stage: Stage): Route[] => {
  const tool = toolName(effect, size, encoding);
  const servers = stage.echoPorts.slice(0, backends);
  if (target === 'direct') return servers.map((port) => ({ port, requests: callRequests(port, '/mcp', [tool]) }));
  if (target !== 'gateway') {
    const [port, path] = target === 'bareProxy' ? [stage.bareProxyPort, ''] : [stage.recordingProxyPort, '/mcp'];
    return servers.map((_, index) => ({ port, requests: callRequests(port, `${path}/${index}`, [tool]) }));
  }
  const { port, token } = stage.gateway;
  if (backends === 1) return [{ port, requests: callRequests(port, `/mcp/default/default/${isMasked ? 'masked' : 'one'}`, [tool], token) }];
  const tools = servers.map((_, index) => `echo-${index}__${tool}`);
  return [{ port, requests: callRequests(port, '/mcp/default/default/all', tools, token) }];
};

/** A processor time as a difference of two readings, for one call. */
const perCall = (before: number | undefined, after: number | undefined, calls: number): number | undefined =>
  before === undefined || after === undefined || calls === 0 ? undefined : (after - before) / calls;

const measureSlice = async (stage: Stage, plan: LoadPlan): Promise<Slice> => {
  const read = async () => ({
    echo: await stage.echo.ask<number>('processorMicros'),
    bareProxy: await stage.bareProxy.ask<number>('processorMicros'),
    recordingProxy: await stage.recordingProxy.ask<number>('processorMicros'),
    gateway: processorMicrosOf(stage.gateway.pid),
    postgres: stage.postgresPid === undefined ? undefined : processorMicrosOfTree(stage.postgresPid),
  });
  const before = await read();
  const result = await stage.load.ask<LoadResult>('run', plan);
  const after = await read();
  const gatewayMicros = perCall(before.gateway, after.gateway, result.calls);
  const postgresMicros = perCall(before.postgres, after.postgres, result.calls);
  return {
    ...result,
    echoMicros: perCall(before.echo, after.echo, result.calls) ?? 0,
    bareProxyMicros: perCall(before.bareProxy, after.bareProxy, result.calls) ?? 0,
    recordingProxyMicros: perCall(before.recordingProxy, after.recordingProxy, result.calls) ?? 0,
    ...(gatewayMicros === undefined ? {} : { gatewayMicros }),
    ...(postgresMicros === undefined ? {} : { postgresMicros }),
  };
};

const medianOf = <Key extends string>(slices: readonly Partial<Record<Key, number>>[], key: Key): number =>
  median(slices.flatMap((slice) => slice[key] ?? []));
const known = (slices: readonly Slice[], key: 'gatewayMicros' | 'postgresMicros'): number | null =>
  slices.some((slice) => slice[key] !== undefined) ? rounded(medianOf(slices, key)) : null;

const planFor = (target: Target, cell: Cell, stage: Stage, seconds: number): LoadPlan => ({
  routes: routesTo(target, cell, stage),
  connections: cell.connections,
  seconds,
  expectedBytes: resultSizes[cell.size],
});

/** Lets every process compile what it runs: the first ten thousand calls cost two and three times as much as those after them. */
export const warmUp = async (stage: Stage, cells: readonly Cell[], seconds: number): Promise<void> => {
  for (const cell of cells)
    for (const target of targets) await stage.load.ask('run', planFor(target, cell, stage, target === 'gateway' ? seconds : seconds / 4));
};

/**
 * Measures a cell: direct, through both proxies and through the gateway in turn, round after round, because a machine is not the same
 * from one minute to the next. Figures are medians over the rounds; ratios are made within a round.
 */
export const measureCell = async (
  cell: Cell,
  stage: Stage,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<CellFigures> => {
  const slices: Record<Target, Slice[]> = { direct: [], bareProxy: [], recordingProxy: [], gateway: [] };
  for (const target of targets) await stage.load.ask('run', planFor(target, cell, stage, Math.min(0.5, seconds)));
  for (let round = 0; round < rounds; round += 1)
    for (const target of targets) slices[target].push(await measureSlice(stage, planFor(target, cell, stage, seconds)));
  const { direct, bareProxy, recordingProxy, gateway } = slices;
  const ratio = (over: Slice[], under: Slice[]): number =>
    rounded(median(over.map(({ callsPerSecond }, index) => callsPerSecond / (under[index]?.callsPerSecond || Number.POSITIVE_INFINITY))));
  const echoMicros = medianOf(gateway, 'echoMicros');
  const gatewayMicros = known(gateway, 'gatewayMicros');
  const all = targets.flatMap((target) => slices[target]);
  const firstError = all.find((slice) => slice.firstError !== undefined)?.firstError;
  return {
    ...cell,
    direct: Math.round(medianOf(direct, 'callsPerSecond')),
    bareProxy: Math.round(medianOf(bareProxy, 'callsPerSecond')),
    recordingProxy: Math.round(medianOf(recordingProxy, 'callsPerSecond')),
    gateway: Math.round(medianOf(gateway, 'callsPerSecond')),
    ratioToDirect: ratio(gateway, direct),
    ratioToBareProxy: ratio(gateway, bareProxy),
    ratioToRecordingProxy: ratio(gateway, recordingProxy),
    bareProxyRatio: ratio(bareProxy, direct),
    recordingProxyRatio: ratio(recordingProxy, direct),
    recordingOfBareProxy: ratio(recordingProxy, bareProxy),
    addedP50Ms: rounded(medianOf(gateway, 'p50Ms') - medianOf(direct, 'p50Ms')),
    addedP99Ms: rounded(medianOf(gateway, 'p99Ms') - medianOf(direct, 'p99Ms')),
    gatewayP50Ms: rounded(medianOf(gateway, 'p50Ms')),
    gatewayP99Ms: rounded(medianOf(gateway, 'p99Ms')),
    echoMicros: rounded(echoMicros),
    bareProxyMicros: rounded(medianOf(bareProxy, 'bareProxyMicros')),
    recordingProxyMicros: rounded(medianOf(recordingProxy, 'recordingProxyMicros')),
    gatewayMicros,
    postgresMicros: known(gateway, 'postgresMicros'),
    timesEcho: gatewayMicros === null || echoMicros === 0 ? null : rounded(gatewayMicros / echoMicros),
    spread: rounded(spread(direct.map(({ callsPerSecond }) => callsPerSecond)), 2),
    errors: all.reduce((sum, { errors }) => sum + errors, 0),
    ...(firstError === undefined ? {} : { firstError }),
  };
};
