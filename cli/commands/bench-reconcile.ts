import { Command } from 'commander';
import { flatReconcileResult, renderReconcileBench } from '../../bench/reconcile/render-reconcile-bench.ts';
import { allCases, type ModelName, modelNames, type ReconcilePlan, runReconcileBench } from '../../bench/reconcile/run-reconcile-bench.ts';
import { startReconcilePlaces } from '../bench/start-reconcile-places.ts';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print, say } from '../output/talk.ts';
import { interruptedExitCode } from '../up/hold-platform.ts';

type Options = { json?: boolean; models: string; case: string[]; lanes: number; data?: string };

const mostLanes = 32;

const readLanes = (text: string): number => {
  const lanes = Number(text);
  if (Number.isInteger(lanes) && lanes >= 1 && lanes <= mostLanes) return lanes;
  throw usageError(`--lanes ${text} is not a whole number from 1 to ${mostLanes}`);
};

const modelsFrom = (text: string): ModelName[] =>
  text.split(',').map((name) => {
    const known = modelNames.find((one) => one === name.trim());
    if (known) return known;
    throw usageError(`there is no model ${name}`, `use some of ${modelNames.join(',')}`);
  });

const planOf = ({ models, case: ids, lanes }: Options): ReconcilePlan => {
  const cases = ids.map((id) => {
    const known = allCases.find((one) => one.id === id.toUpperCase());
    if (known) return known;
    throw usageError(`there is no case ${id}`, `use one of ${allCases.map((one) => one.id).join(', ')}`);
  });
  return { models: modelsFrom(models), cases: cases.length > 0 ? cases : allCases, lanes };
};

const benchReconcile = async (options: Options): Promise<void> => {
  const plan = planOf(options);
  const config = readConfig();
  const root = options.data === undefined ? `${config.dataDirectory}-bench` : absolutePath(config, options.data);
  const interrupted = new AbortController();
  // from the first moment on: what a start has begun is taken away too
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const places = await startReconcilePlaces(root, config, { onLine: say, signal: interrupted.signal }).catch((error) => {
    if (interrupted.signal.aborted) process.exit(interruptedExitCode);
    throw error;
  });
  interrupted.signal.addEventListener('abort', () => void places.close().finally(() => process.exit(interruptedExitCode)));
  if (interrupted.signal.aborted) await places.close().finally(() => process.exit(interruptedExitCode));
  try {
    const result = await runReconcileBench(places, plan, say);
    print(renderReconcileBench(result));
    if (options.json) print(JSON.stringify(flatReconcileResult(result)));
    if (result.played.some(({ changed, failure }) => changed.length > 0 || failure !== undefined)) process.exitCode = 1;
  } finally {
    await places.close();
  }
};

export const benchReconcileCommand = (): Command => {
  const command = new Command('reconcile')
    .description('Break things for real, on a cluster and a platform of its own, and judge what the reconciler makes of it')
    .option('--models <names>', `who answers what no rule knows: ${modelNames.join(', ')}`, 'expert,wrong-fix,garbage')
    .option('--case <id>', 'this fault alone, such as K03; may be given again', (id, ids: string[]) => [...ids, id], [])
    .option('--lanes <count>', 'so many cases side by side', readLanes, 8)
    .option('--json', 'the last line is one JSON object')
    .option('--data <dir>', 'where the platform of the run is made; beside the data folder by default')
    .action(benchReconcile);
  return withExamples(command, [
    ['quarterdeck bench reconcile', 'each fault with an expert, with wrong fixes and with garbage'],
    ['quarterdeck bench reconcile --models expert --case K03 --case K09', 'two faults, mended by what somebody who knows would propose'],
    ['quarterdeck bench reconcile --json', 'the figures on the last line'],
  ]);
};
