import type { Client, Tool } from '@modelcontextprotocol/client';
import { searchToolNames } from '../../schema/search-tools.ts';
import { CliError } from '../output/cli-error.ts';

/** How many tools the gateway finds at most. */
const mostFound = 50;

const isNamed =
  (name: string) =>
  (tool: Tool): boolean =>
    tool.name === name;

/** Asks a toolset that lists no tools of its own, where the name may be one of its. */
const search = async (client: Client, listed: readonly Tool[], name: string): Promise<Tool | undefined> => {
  // at bare `/mcp` all names of a toolset begin like that of its `find_tool`
  const finder = listed.find(
    (tool) => tool.name.endsWith(searchToolNames.find) && name.startsWith(tool.name.slice(0, -searchToolNames.find.length)),
  );
  if (!finder) return undefined;
  const { structuredContent } = await client.callTool({ name: finder.name, arguments: { query: name, limit: mostFound } });
  return (structuredContent as { tools?: Tool[] } | undefined)?.tools?.find(isNamed(name));
};

/**
 * A tool by its name, listed or found.
 * @throws {CliError} `tool_unknown`
 */
export const findTool = async (client: Client, name: string): Promise<Tool> => {
  const { tools } = await client.listTools();
  const tool = tools.find(isNamed(name)) ?? (await search(client, tools, name));
  if (tool) return tool;
  throw new CliError(`There is no tool ${name} here that you may use`, { code: 'tool_unknown', next: 'quarterdeck mcp ls' });
};
