import { homedir } from 'node:os';
import { Argument, type Command, Option } from 'commander';
import { NameSchema } from '../../schema/ids.ts';
import { type ConnectionOptions, connectedCommand } from '../client/session.ts';
import { workingDirectory } from '../client/working-directory.ts';
import type { Config } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { clientTable, type Scope } from './client-table.ts';
import type { Connection } from './connect-client.ts';
import { connectionRecordsAt } from './connection-records.ts';

export type ClientOptions = ConnectionOptions & { toolset?: string; name?: string; scope: Scope; yes?: boolean; format: Format };

/** A command about one agent client, with the options that `connect` and `disconnect` share. */
export const clientCommand = (name: string, needsClient: boolean): Command =>
  connectedCommand(name)
    .addArgument(
      new Argument(needsClient ? '<client>' : '[client]', `one of ${clientTable.map((client) => client.name).join(', ')}`).choices(
        clientTable.map((client) => client.name),
      ),
    )
    .option('--toolset <name>', 'of this toolset; without it, of everything you may use')
    .option('--name <name>', 'what the server is called there (default: quarterdeck, or quarterdeck-TOOLSET)')
    .addOption(
      new Option('--scope <scope>', 'in the files of the user, or of the project in this folder')
        .choices(['user', 'project'])
        .default('user'),
    )
    .option('-y, --yes', 'do not ask')
    .addOption(formatOption(['table', 'json']));

/** @throws {CliError} usage, for a name that not every client could take */
export const connectionOf = (config: Config, clientName: string, { name, toolset, scope }: ClientOptions): Connection => {
  const client = clientTable.find((each) => each.name === clientName);
  if (!client) throw usageError(`There is no client ${clientName}`);
  if (toolset !== undefined && !NameSchema.safeParse(toolset).success)
    throw usageError(`--toolset ${toolset} is no name of a toolset; \`quarterdeck get toolsets\` lists them`);
  const serverName = name ?? (toolset === undefined ? 'quarterdeck' : `quarterdeck-${toolset}`);
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(serverName))
    throw usageError(`--name ${serverName} has to be of letters, digits, hyphens and underscores`);
  const places = { home: homedir(), project: workingDirectory(config), platform: process.platform, environment: config.environment };
  return { client, scope, name: serverName, places, records: connectionRecordsAt(config.dataDirectory) };
};
