import type { Command } from 'commander';
import type { RunProgress } from '../../schema/run.ts';
import { applyDocuments } from '../apply/apply-documents.ts';
import { loadSurveyExample, takeSurveyInputs } from '../apply/survey-example.ts';
import { createApiClient } from '../client/api-client.ts';
import { commandName } from '../client/command-name.ts';
import { watchRun } from '../client/watch-run.ts';
import { absolutePath } from '../client/working-directory.ts';
import { type Config, readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { endingText, exitCodeOfRun, hasEnded } from '../output/run-text.ts';
import { createRunView } from '../output/run-view.ts';
import { print, say } from '../output/talk.ts';
import { holdPlatform } from '../up/hold-platform.ts';
import type { Platform } from '../up/platform-options.ts';
import { installTinyModel } from './model.ts';
import { describeAddresses, platformOptionsFrom, type UpOptions, withPlatformOptions } from './up.ts';

type StartOptions = UpOptions & { input?: string[]; output?: string; once?: boolean };
type Survey = Awaited<ReturnType<typeof loadSurveyExample>>;

const nextCommands = (config: Config, { data }: StartOptions, run: RunProgress): string => {
  const command = commandName(config);
  const where = data === undefined ? '' : ` --data ${absolutePath(config, data)}`;
  return [
    'next, in another terminal:',
    `  ${command} audit query --run ${run.id}${where}`,
    `  ${command} fleet show ${run.id}${where}`,
    `  ${command} fleet run ${run.fleet} --input path=DIR${where}`,
  ].join('\n');
};

/** Declares the example on a platform that serves, runs it and shows how it goes. @returns undefined when it was interrupted */
const runSurvey = async (
  { ready }: Platform,
  signal: AbortSignal,
  { documents, fleet }: Survey,
  request: { inputs: Record<string, string>; outputDirectory?: string; colours: boolean; command: string },
): Promise<RunProgress | undefined> => {
  const api = createApiClient({ ...ready, token: async () => ready.adminToken ?? '', place: ready.apiUrl });
  const results = await applyDocuments(api, documents);
  say(`Declared ${results.length} resources of examples/survey.`);
  const { org, project, name } = fleet.metadata;
  const { inputs, outputDirectory, colours, command } = request;
  const path = `/${org}/${project}/runs`;
  const { id } = await api.post<RunProgress>(path, { fleet: name, inputs, ...(outputDirectory === undefined ? {} : { outputDirectory }) });
  say(`Launched ${name} as ${id} over ${Object.values(inputs).join(', ')}.`);
  const run = await watchRun(api, `${path}/${id}`, { view: createRunView({ isWanted: true, colours }), signal });
  if (!run || !hasEnded(run)) return undefined;
  if (run.result) print(run.result);
  say(endingText(run, new Date(), command));
  return run;
};

const start = async (options: StartOptions): Promise<void> => {
  const { input, output, once, profile } = options;
  if (profile === 'production')
    throw usageError('The example needs a person with a token, which the profile production does not seed; use `quarterdeck up`');
  const config = readConfig();
  const survey = await loadSurveyExample(config);
  const inputs = takeSurveyInputs(config, survey.fleet, input ?? []);
  const outputDirectory = output === undefined ? undefined : absolutePath(config, output);
  if (survey.usesLocalModel) await installTinyModel();
  say('Starting the platform: Postgres, Temporal, issuer, api, gateway, host, worker.');
  process.exitCode = await holdPlatform(platformOptionsFrom(options, say), async (platform, signal) => {
    const run = await runSurvey(platform, signal, survey, {
      inputs,
      outputDirectory,
      colours: config.colours,
      command: commandName(config),
    });
    if (!run) return undefined;
    if (once) return exitCodeOfRun(run.state);
    say(describeAddresses(platform.ready));
    say(nextCommands(config, options, run));
    say('The platform stays up until Ctrl-C.');
    return undefined;
  });
};

const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

export const registerStart = (program: Command): void => {
  const command = withPlatformOptions(program.command('start'))
    .description('Bring the platform up and survey a source tree with examples/survey; stays up')
    .option('-i, --input <name=value>', 'an input of the survey, such as path=DIR; by default this repository', collect)
    .option('--output <dir>', 'folder for survey.md; by default one of the run in the data folder')
    .option('--once', 'end when the survey has ended, with its exit code')
    .action(start);
  withExamples(command, [
    ['npm start', 'the platform, and a survey of this repository'],
    ['npm start -- --input path=~/src/project', 'a survey of another folder'],
    ['npm start -- --once --output ./out', 'in a script'],
  ]);
};
