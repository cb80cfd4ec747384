import { fileURLToPath } from 'node:url';
import { defaultTenancy } from '../../schema/ids.ts';
import type { ConnectionOptions } from '../client/session.ts';
import { absolutePath } from '../client/working-directory.ts';
import type { Config } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import type { Route, Scope } from './client-table.ts';

const entry = fileURLToPath(new URL('../quarterdeck.mjs', import.meta.url));

/**
 * The bridge on stdio, for a client that is to hold no token at all: it finds the platform as commands do.
 * @throws {CliError} usage, for a file that others share from a clone: there is no command yet that all of them have
 */
export const bridgeRoute = (
  config: Config,
  { scope, toolset, org, project, data, as }: ConnectionOptions & { scope: Scope; toolset?: string },
): Route => {
  const isInstalled = config.environment.npm_command === undefined;
  if (!isInstalled && scope === 'project')
    throw usageError(
      'In a clone, --stdio would write paths of this machine into a file of the project',
      'quarterdeck connect … --scope user',
    );
  const [command = '', ...before] = isInstalled ? ['quarterdeck'] : [process.execPath, entry];
  const option = (name: string, value: string | undefined, usual?: string): string[] =>
    value === undefined || value === usual ? [] : [name, value];
  const options = [
    ...option('--project', project, defaultTenancy.project),
    ...option('--org', org, defaultTenancy.org),
    ...option('--data', data && absolutePath(config, data)),
    ...option('--as', as),
  ];
  return { kind: 'stdio', command, args: [...before, 'mcp', 'stdio', ...(toolset === undefined ? [] : [toolset]), ...options] };
};
