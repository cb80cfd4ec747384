import { Command } from 'commander';
import { flatReconcileResult, renderReconcileBench } from '../../bench/reconcile/render-reconcile-bench.ts';
import { allCases, modelNames, type ReconcilePlan, runReconcileBench } from '../../bench/reconcile/run-reconcile-bench.ts';
import { type RealModelOptions, readRealModel } from '../bench/read-real-model.ts';
import { startReconcilePlaces } from '../bench/start-reconcile-places.ts';
import { absolutePath } from '../client/working-directory.ts';
import { type Config, readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print, say } from '../output/talk.ts';
import { interruptedExitCode } from '../up/hold-platform.ts';

type Options = RealModelOptions & { json?: boolean; models?: string; case: string[]; lanes: number; data?: string };
type Cases = ReconcilePlan['models'][number]['cases'];

const mostLanes = 32;

const readLanes = (text: string): number => {
  const lanes = Number(text);
  if (Number.isInteger(lanes) && lanes >= 1 && lanes <= mostLanes) return lanes;
  throw usageError(`--lanes ${text} is not a whole number from 1 to ${mostLanes}`);
};

const casesFrom = (ids: readonly string[]): Cases =>
  ids.map((id) => {
    const known = allCases.find((one) => one.id === id.toUpperCase());
    if (known) return known;
    throw usageError(`there is no case ${id}`, `use one of ${allCases.map((one) => one.id).join(', ')}`);
  });

/** `expert,tiny:K03+K08`: a model with cases of its own plays those alone. */
const modelsFrom = (text: string, cases: Cases, hasReal: boolean): ReconcilePlan['models'] =>
  text.split(',').map((part) => {
    const [name = '', own] = part.trim().split(':');
    const known = modelNames.find((one) => one === name);
    if (!known) throw usageError(`there is no model ${name}`, `use some of ${modelNames.join(',')}`);
    if (known === 'real' && !hasReal)
      throw usageError('a real model has a name', 'say --model NAME, and --model-url where it is not at OpenAI');
    return { name: known, cases: own === undefined ? cases : casesFrom(own.split('+')) };
  });

const usualModels = 'expert,wrong-fix,garbage';

const planOf = ({ models, case: ids, lanes, ...options }: Options, environment: Config['environment']): ReconcilePlan => {
  const real = readRealModel(options, environment);
  const cases = ids.length > 0 ? casesFrom(ids) : allCases;
  // a real model costs money: it answers alone, unless others are asked for
  const named = modelsFrom(models ?? (real ? 'real' : usualModels), cases, real !== undefined);
  const isNamed = !real || named.some(({ name }) => name === 'real');
  return { models: isNamed ? named : [...named, { name: 'real', cases }], lanes, real };
};

const benchReconcile = async (options: Options): Promise<void> => {
  const config = readConfig();
  const plan = planOf(options, config.environment);
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
    .option(
      '--models <names>',
      `who answers what no rule knows: some of ${modelNames.join(', ')}; with cases of its own as tiny:K03+K08 (default: ${usualModels})`,
    )
    .option('--model <name>', 'a real model, as its provider names it; without --models it answers alone')
    .option('--model-url <url>', "the base of its provider's API, in the dialect of OpenAI's chat completions (default: OpenAI's)")
    .option(
      '--model-key <variable>',
      'the environment variable with its key (default: OPENAI_API_KEY or ANTHROPIC_API_KEY, by the address)',
    )
    .option('--model-price <in,out>', 'dollars for a million tokens, such as 2.50,10, so that its cost is counted')
    .option('--case <id>', 'this fault alone, such as K03; may be given again', (id, ids: string[]) => [...ids, id], [])
    .option('--lanes <count>', 'so many cases side by side', readLanes, 8)
    .option('--json', 'the last line is one JSON object')
    .option('--data <dir>', 'where the platform of the run is made; beside the data folder by default')
    .action(benchReconcile);
  return withExamples(command, [
    ['quarterdeck bench reconcile', 'each fault with an expert, with wrong fixes and with garbage'],
    ['quarterdeck bench reconcile --models expert --case K03 --case K09', 'two faults, mended by what somebody who knows would propose'],
    ['quarterdeck bench reconcile --model gpt-5.5 --model-price 2.50,10 --case K03', 'what a real model makes of one fault, for money'],
    [
      'quarterdeck bench reconcile --model claude-opus-5 --model-url https://api.anthropic.com/v1/',
      'another provider, with its key in ANTHROPIC_API_KEY',
    ],
    ['quarterdeck bench reconcile --json', 'the figures on the last line'],
  ]);
};
