import type { Command } from 'commander';
import { Option } from 'commander';
import { absolutePath } from '../client/working-directory.ts';
import { type Config, readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print, say } from '../output/talk.ts';
import { holdPlatform } from '../up/hold-platform.ts';
import type { ReadyFile } from '../up/ready-file.ts';
import type { Profile } from '../up/seed.ts';

export type UpOptions = {
  data?: string;
  port: number;
  resources?: string;
  readyFile?: string;
  profile: Profile;
  allowUncaged: boolean;
  allowClientRegistration: boolean;
};

/** @throws {CliError} usage, for what is no port */
export const readPort = (text: string): number => {
  if (!/^\d{1,5}$/.test(text)) throw usageError(`--port ${text} is not a port; expected a number such as 7420`);
  return Number(text);
};

/** The options that say which platform is started; other commands that start one take the same. */
export const withPlatformOptions = (command: Command): Command =>
  command
    .option('--data <dir>', 'data folder; ~/.local/share/quarterdeck, or QUARTERDECK_DATA, by default')
    .option('--port <port>', 'first of ten ports on 127.0.0.1: the gateway; api on the next', readPort, 7420)
    .option('--resources <dir>', 'folder with resources that are applied now and at each change')
    .option('--ready-file <file>', 'written when everything serves: addresses and tokens as JSON, for you alone')
    .addOption(new Option('--profile <profile>', 'what is seeded and allowed').choices(['dev', 'solo', 'production']).default('solo'))
    .option('--allow-uncaged', 'run MCP servers as bare processes where no cage can be had', false)
    .option('--allow-client-registration', 'let clients that nobody knows register themselves for logins (RFC 7591)', false);

/** What `startPlatform` is told, from the command line before the environment. */
export const platformOptionsFrom = (options: UpOptions, onLine: (text: string) => void) => {
  const config = readConfig();
  const absolute = (path: string | undefined): string | undefined => (path === undefined ? undefined : absolutePath(config, path));
  return {
    dataDirectory: absolute(options.data) ?? config.dataDirectory,
    port: options.port,
    profile: options.profile,
    allowUncaged: options.allowUncaged,
    allowClientRegistration: options.allowClientRegistration,
    resourcesDirectory: absolute(options.resources),
    readyFile: absolute(options.readyFile),
    config,
    onLine,
  };
};

/** Addresses for people, without tokens: a terminal is seen and logged. */
export const describeAddresses = (ready: ReadyFile): string =>
  [`tools    ${ready.mcpUrl}`, `models   ${ready.modelsUrl}`, `api      ${ready.apiUrl}`, `metrics  ${ready.metricsUrl}`].join('\n');

/** How the command is called here: in a clone it is not on the path. */
export const commandName = ({ environment }: Pick<Config, 'environment'>): string =>
  environment.npm_command === undefined ? 'quarterdeck' : 'npm run -s qd --';

const nextCommands = (config: Config, { data }: UpOptions): string => {
  const command = commandName(config);
  const where = data === undefined ? '' : ` --data ${data}`;
  return [
    'next, in another terminal:',
    `  ${command} status${where}`,
    `  ${command} apply -f examples/survey${where}`,
    `  ${command} fleet run survey --watch --input path=DIR${where}`,
  ].join('\n');
};

const up = async (options: UpOptions): Promise<void> => {
  const startedAt = performance.now();
  const platformOptions = platformOptionsFrom(options, say);
  process.exitCode = await holdPlatform(platformOptions, async ({ ready }) => {
    say(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    print(describeAddresses(ready));
    say(nextCommands(platformOptions.config, options));
    return undefined;
  });
};

export const registerUp = (program: Command): void => {
  const command = withPlatformOptions(program.command('up'))
    .description('Start the platform on a data folder and keep it up until Ctrl-C; what it knows is kept for the next start')
    .action(up);
  withExamples(command, [
    ['quarterdeck up', 'on ~/.local/share/quarterdeck, ports 7420 to 7429'],
    ['quarterdeck up --resources ./fleet', 'with resources that follow their files'],
    ['quarterdeck up --data /tmp/try --port 8000', 'a second one, beside the first'],
    ['DATABASE_URL=postgres://… quarterdeck up', 'with a Postgres elsewhere; TEMPORAL_ADDRESS likewise'],
  ]);
};
