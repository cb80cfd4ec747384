import { defaultTenancy, NameSchema, type Tenancy } from '../../schema/ids.ts';
import type { Platform } from '../client/find-platform.ts';
import { usageError } from '../output/cli-error.ts';

/**
 * Address of a toolset, as short as it can be written; without one, of everything that the caller may use.
 * @throws {CliError} usage
 */
export const endpointUrl = ({ mcpUrl }: Pick<Platform, 'mcpUrl'>, { org, project }: Tenancy, toolset?: string): string => {
  if (toolset === undefined) return mcpUrl;
  if (!NameSchema.safeParse(toolset).success)
    throw usageError(`${toolset} is no name of a toolset; \`quarterdeck get toolsets\` lists them`);
  const isDefault = org === defaultTenancy.org && project === defaultTenancy.project;
  return `${mcpUrl}/${isDefault ? toolset : `${org}/${project}/${toolset}`}`;
};
