import { findPlatform, type Platform } from '../client/find-platform.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { endpointUrl } from '../mcp/endpoint-url.ts';
import { runStdio } from '../mcp/run-stdio.ts';
import { say } from '../output/talk.ts';

const bridge = async (toolset: string | undefined, options: ConnectionOptions): Promise<void> => {
  const { tenancy, platform: first } = openSession(options);
  const addressAt = async (platform: Platform, refusedToken?: string) => {
    const url = endpointUrl(platform, tenancy, toolset);
    return { url, token: await platform.tokenFor(url, refusedToken) };
  };
  let known = await addressAt(first);
  const findAddress = async (refusedToken?: string) => {
    try {
      // a platform that was stopped and started has another token, and may have another port; a login's token is renewed
      known = await addressAt(findPlatform(readConfig(), options), refusedToken);
    } catch {
      // it is being started: what was known is tried until there is something newer
    }
    return known;
  };
  await runStdio(findAddress, (text) => say(`quarterdeck: ${text}`));
  // a pipe that nobody reads would keep the process
  process.exit(0);
};

export const mcpStdioCommand = () =>
  connectedCommand('stdio')
    .description('Be an MCP server on stdin and stdout, for clients that only know those: everything goes to the gateway')
    .argument('[toolset]', 'this toolset; without it, everything you may use')
    .action(bridge);
