import { Command } from 'commander';
import { allCells, type Cell, quickCells, usualCells } from '../../bench/gateway/cells.ts';
import { flatResult, renderBench } from '../../bench/gateway/render-bench.ts';
import { type BenchPlan, runGatewayBench } from '../../bench/gateway/run-gateway-bench.ts';
import { startBenchPlaces } from '../bench/start-bench-places.ts';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print, say } from '../output/talk.ts';

type Options = {
  json?: boolean;
  quick?: boolean;
  full?: boolean;
  seconds?: number;
  rounds?: number;
  cell: string[];
  idle?: number;
  data?: string;
};

const readNumber =
  (name: string, least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most))
      throw usageError(`--${name} ${text} is not a number from ${least} to ${most}`);
    return value;
  };

const cellsNamed = (names: readonly string[]): Cell[] => {
  const known = new Map([...usualCells, ...allCells].map((cell) => [cell.name, cell]));
  return names.map((name) => {
    const cell = known.get(name);
    if (!cell) throw usageError(`there is no cell ${name}`, `use one like ${usualCells.map((usual) => usual.name).join(', ')}`);
    return cell;
  });
};

const planOf = ({ quick = false, full = false, cell, seconds, rounds, idle }: Options): BenchPlan => {
  const isWhole = cell.length === 0 && !quick;
  const idleCount = idle ?? (isWhole ? 10_000 : 0);
  return {
    cells: cell.length > 0 ? cellsNamed(cell) : full ? allCells : quick ? quickCells : usualCells,
    rounds: rounds ?? (quick ? 3 : 5),
    seconds: seconds ?? 1,
    warmSeconds: Math.min(5, (seconds ?? 1) * 5),
    listTools: 500,
    lists: isWhole,
    ...(idleCount > 0 ? { memory: { sessions: idleCount, streams: idleCount } } : {}),
  };
};

const benchGateway = async (options: Options): Promise<void> => {
  const plan = planOf(options);
  const config = readConfig();
  const root = options.data === undefined ? `${config.dataDirectory}-bench` : absolutePath(config, options.data);
  const places = await startBenchPlaces(root, config);
  // Ctrl-C ends the run in order; a second one ends it at once, and what it started ends by itself
  process.once('SIGINT', () => void places.close().finally(() => process.exit(130)));
  try {
    const result = await runGatewayBench(places, plan, say);
    print(options.json ? JSON.stringify(flatResult(result)) : renderBench(result));
    if (result.cells.some(({ errors }) => errors > 0)) process.exitCode = 1;
  } finally {
    await places.close();
  }
};

export const benchGatewayCommand = (): Command => {
  const command = new Command('gateway')
    .description(
      'Measure tool calls directly, through a bare Node proxy, one that records calls, and the gateway with everything on; five minutes',
    )
    .option('--json', 'the last line is one JSON object')
    .option('--quick', 'four cells in three rounds, no lists, no idle sessions; about a minute')
    .option('--full', 'every combination of effect, connections, size, encoding and servers')
    .option(
      '--cell <name>',
      'this cell alone, such as read-c32-16B-json; may be given again',
      (name, names: string[]) => [...names, name],
      [],
    )
    .option('--seconds <seconds>', 'length of one slice of measuring; 1 by default', readNumber('seconds', 0.05, 600))
    .option('--rounds <count>', 'rounds in which direct, proxies and gateway take turns; 5 by default', readNumber('rounds', 1, 100))
    .option(
      '--idle <count>',
      'so many idle sessions, and as many listen streams; 10000 by default, 0 for none',
      readNumber('idle', 0, 50_000),
    )
    .option('--data <dir>', 'where the database of the run is made; beside the data folder by default')
    .action(benchGateway);
  return withExamples(command, [
    ['quarterdeck bench gateway', 'a table of what calls cost'],
    ['quarterdeck bench gateway --quick --json', 'one JSON object on the last line'],
    ['quarterdeck bench gateway --cell act-c32-16B-json --seconds 10', 'one cell, measured longer'],
  ]);
};
