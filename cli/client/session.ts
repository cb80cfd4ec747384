import { Command, Option } from 'commander';
import { NameSchema, type Tenancy } from '../../schema/ids.ts';
import { type Config, readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { findPlatform, type Platform } from './find-platform.ts';

export type ConnectionOptions = { data?: string; as?: string; org: string; project: string };

/** What a command works with: the platform, a client of its api, and the project it is about. */
export type Session = { config: Config; platform: Platform; api: ApiClient; tenancy: Tenancy; path: string };

/** A command that talks to the platform, with the options that all of those have. */
export const connectedCommand = (name: string): Command =>
  new Command(name)
    .addOption(new Option('-p, --project <name>', 'project').default('default').helpGroup('Connection:'))
    .addOption(new Option('--org <name>', 'org').default('default').helpGroup('Connection:'))
    .addOption(new Option('--data <dir>', 'data folder of the platform to talk to').helpGroup('Connection:'))
    .addOption(new Option('--as <person>', 'admin or reviewer, of the platform on this machine').helpGroup('Connection:'));

/** @throws {CliError} when no platform runs, or a name is none */
export const openSession = ({ org, project, ...options }: ConnectionOptions): Session => {
  for (const [option, value] of Object.entries({ org, project }))
    if (!NameSchema.safeParse(value).success)
      throw usageError(`--${option} ${value} is not a name of lower-case letters, digits and hyphens`);
  const config = readConfig();
  const platform = findPlatform(config, options);
  const api = createApiClient({ ...platform, token: (refusedToken) => platform.tokenFor(platform.apiResource, refusedToken) });
  return { config, platform, api, tenancy: { org, project }, path: `/${org}/${project}` };
};
