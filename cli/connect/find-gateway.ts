import { noPlatform } from '../client/find-platform.ts';
import { absolutePath } from '../client/working-directory.ts';
import type { Config } from '../config.ts';
import { dataFolderAt } from '../up/data-folder.ts';
import { readReadyFile } from '../up/ready-file.ts';

/**
 * Where MCP clients find the platform that commands talk to; no token is needed to know that.
 * @param data - data folder that the user named
 * @throws {CliError} when none runs there
 */
export const findGateway = (config: Config, data: string | undefined): { mcpUrl: string } => ({
  mcpUrl: `${findGatewayUrl(config, data)}/mcp`,
});

/** The same as an origin. @throws {CliError} when none runs there */
export const findGatewayUrl = (config: Config, data: string | undefined): string => {
  const folder = dataFolderAt(data === undefined ? config.dataDirectory : absolutePath(config, data));
  const ready = readReadyFile(folder.readyFile);
  const url = data === undefined ? config.url : undefined;
  if (ready && (url === undefined || url === ready.url || url === ready.apiUrl)) return ready.url;
  if (url === undefined) throw noPlatform(folder.root);
  return url;
};
