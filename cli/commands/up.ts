import type { Command } from 'commander';
import { Option } from 'commander';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
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
};

/** The options that say which platform is started; other commands that start one take the same. */
export const withPlatformOptions = (command: Command): Command =>
  command
    .option('--data <dir>', 'data folder; ~/.local/share/quarterdeck, or QUARTERDECK_DATA, by default')
    .option('--port <port>', 'first of ten ports on 127.0.0.1: the gateway; api on the next', Number, 7420)
    .option('--resources <dir>', 'folder with resources that are applied now and at each change')
    .option('--ready-file <file>', 'written when everything serves: addresses and tokens as JSON, for you alone')
    .addOption(new Option('--profile <profile>', 'what is seeded and allowed').choices(['dev', 'solo', 'production']).default('solo'))
    .option('--allow-uncaged', 'run MCP servers as bare processes where no cage can be had', false);

/** What `startPlatform` is told, from the command line before the environment. */
export const platformOptionsFrom = (options: UpOptions, onLine: (text: string) => void) => {
  const config = readConfig();
  const absolute = (path: string | undefined): string | undefined => (path === undefined ? undefined : absolutePath(config, path));
  return {
    dataDirectory: absolute(options.data) ?? config.dataDirectory,
    port: options.port,
    profile: options.profile,
    allowUncaged: options.allowUncaged,
    resourcesDirectory: absolute(options.resources),
    readyFile: absolute(options.readyFile),
    config,
    onLine,
  };
};

/** Addresses for people, without tokens: a terminal is seen and logged. */
export const describeAddresses = (ready: ReadyFile): string =>
  [`tools    ${ready.mcpUrl}`, `models   ${ready.modelsUrl}`, `api      ${ready.apiUrl}`, `metrics  ${ready.metricsUrl}`].join('\n');

export const registerUp = (program: Command): void => {
  withPlatformOptions(program.command('up'))
    .description('start the platform and keep it up until Ctrl-C')
    .action(async (options: UpOptions) => {
      const startedAt = performance.now();
      const platformOptions = platformOptionsFrom(options, say);
      process.exitCode = await holdPlatform(platformOptions, async ({ ready }) => {
        say(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
        print(describeAddresses(ready));
        const data = options.data === undefined ? '' : ` --data ${options.data}`;
        say(
          `next, in another terminal:\n  quarterdeck status${data}\n  quarterdeck apply -f FILE${data}\n  quarterdeck fleet run NAME --watch${data}`,
        );
        return undefined;
      });
    });
};
