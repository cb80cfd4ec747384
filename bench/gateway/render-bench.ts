import { keyCell } from './cells.ts';
import type { CellFigures } from './measure-cell.ts';
import { type BenchResult, isSuspect } from './run-gateway-bench.ts';

const cellNamed = ({ cells }: BenchResult, name: string): CellFigures | undefined => cells.find((cell) => cell.name === name);

/** The result as one flat object: the key cell's figures, a few of others, and all cells. */
export const flatResult = (result: BenchResult): Record<string, unknown> => {
  const key = cellNamed(result, keyCell.name) ?? result.cells[0];
  const act = cellNamed(result, 'act-c32-16B-json');
  const { cells, decisions, lists, memory, ...machine } = result;
  return {
    direct: key?.direct,
    bareProxy: key?.bareProxy,
    recordingProxy: key?.recordingProxy,
    gateway: key?.gateway,
    ratioToDirect: key?.ratioToDirect,
    ratioToBareProxy: key?.ratioToBareProxy,
    ratioToRecordingProxy: key?.ratioToRecordingProxy,
    bareProxyRatio: key?.bareProxyRatio,
    recordingProxyRatio: key?.recordingProxyRatio,
    recordingOfBareProxy: key?.recordingOfBareProxy,
    addedP50Ms: key?.addedP50Ms,
    addedP99Ms: key?.addedP99Ms,
    timesEcho: key?.timesEcho,
    gatewayMicros: key?.gatewayMicros,
    postgresMicros: key?.postgresMicros,
    spread: key?.spread,
    addedP50MsAtOneConnection: cellNamed(result, 'read-c1-16B-json')?.addedP50Ms,
    effectRatioToDirect: act?.ratioToDirect,
    effectRatioToBareProxy: act?.ratioToBareProxy,
    effectRatioToRecordingProxy: act?.ratioToRecordingProxy,
    effectRecordingProxyRatio: act?.recordingProxyRatio,
    effectRecordingOfBareProxy: act?.recordingOfBareProxy,
    effectTimesEcho: act?.timesEcho,
    effectAddedP50MsAtOneConnection: cellNamed(result, 'act-c1-16B-json')?.addedP50Ms,
    decisionFreshRatio: decisions.freshRatio,
    decisionKnownRatio: decisions.knownRatio,
    listRatioToDirect: lists?.ratioToDirect,
    listRatioToUnfiltered: lists?.ratioToUnfiltered,
    idleMegabytes: memory?.withMegabytes,
    idleP99Ratio: memory?.p99Ratio,
    suspect: isSuspect(result),
    errors: cells.reduce((sum, { errors }) => sum + errors, 0),
    ...machine,
    decisions,
    lists,
    memory,
    cells,
  };
};

const columns: readonly [title: string, value: (cell: CellFigures) => string | number | null][] = [
  ['cell', ({ name }) => name],
  ['direct/s', ({ direct }) => direct],
  ['bare/s', ({ bareProxy }) => bareProxy],
  ['recording/s', ({ recordingProxy }) => recordingProxy],
  ['gateway/s', ({ gateway }) => gateway],
  ['of direct', ({ ratioToDirect }) => ratioToDirect],
  ['of bare', ({ ratioToBareProxy }) => ratioToBareProxy],
  ['of recording', ({ ratioToRecordingProxy }) => ratioToRecordingProxy],
  ['+p50 ms', ({ addedP50Ms }) => addedP50Ms],
  ['+p99 ms', ({ addedP99Ms }) => addedP99Ms],
  ['µs/call', ({ gatewayMicros }) => gatewayMicros],
  ['bare µs', ({ bareProxyMicros }) => bareProxyMicros],
  ['recording µs', ({ recordingProxyMicros }) => recordingProxyMicros],
  ['echo µs', ({ echoMicros }) => echoMicros],
  ['× echo', ({ timesEcho }) => timesEcho],
  ['pg µs', ({ postgresMicros }) => postgresMicros],
  ['spread', ({ spread }) => spread],
  ['errors', ({ errors }) => errors],
];

const tableOf = (cells: readonly CellFigures[]): string => {
  const rows = [columns.map(([title]) => title), ...cells.map((cell) => columns.map(([, value]) => String(value(cell) ?? '–')))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows
    .map((row) => row.map((text, index) => (index === 0 ? text.padEnd(widths[index] ?? 0) : text.padStart(widths[index] ?? 0))).join('  '))
    .join('\n');
};

/** The result as people read it. */
export const renderBench = (result: BenchResult): string => {
  const { decisions, lists, memory, fdatasyncMs, synchronousCommit, processors, node } = result;
  const bare = cellNamed(result, keyCell.name)?.bareProxyRatio;
  const firstError = result.cells.find((cell) => cell.firstError !== undefined)?.firstError;
  return [
    tableOf(result.cells),
    '',
    `policy decision: Cedar alone ${decisions.cedarMicros} µs, ours ${decisions.freshMicros} µs (${decisions.freshRatio}), ` +
      `remembered ${decisions.knownMicros} µs (${decisions.knownRatio})`,
    ...(lists
      ? [
          `tools/list of ${lists.tools}: direct ${lists.directMs} ms, through the gateway ${lists.unfilteredMs} ms, ` +
            `filtered to ${lists.filteredTools} ${lists.filteredMs} ms (${lists.ratioToDirect} of direct)`,
        ]
      : []),
    ...(memory
      ? [
          `memory: ${memory.beforeMegabytes} MB, with ${memory.sessions} idle sessions and ${memory.streams} listen streams ` +
            `${memory.withMegabytes} MB, after them ${memory.afterMegabytes} MB; p99 of calls ${memory.p99WithMs} ms ` +
            `beside them and ${memory.p99Ms} ms without (${memory.p99Ratio})`,
        ]
      : []),
    `one fdatasync ${fdatasyncMs.toFixed(2)} ms, synchronous_commit ${synchronousCommit}, ${processors} processors, Node ${node}`,
    ...(isSuspect(result)
      ? [`suspect: the bare proxy reaches ${bare} of direct, and 0.25 to 0.45 is usual; measure on a quiet machine`]
      : []),
    ...(firstError === undefined ? [] : [`first error: ${firstError}`]),
  ].join('\n');
};
