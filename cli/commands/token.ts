import { Command } from 'commander';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { print } from '../output/talk.ts';
import { tokenKeysCommand } from './token-keys.ts';

const token = async ({ resource, ...connection }: ConnectionOptions & { resource?: string }): Promise<void> => {
  const { platform } = openSession(connection);
  if (resource !== undefined && !URL.canParse(resource)) throw usageError(`--resource ${resource} is not a URL`);
  print(await platform.tokenFor(resource ?? platform.apiResource));
};

export const tokenCommand = (): Command =>
  new Command('token')
    .description('Print the token that a command would send, or look after the keys that tokens are signed with')
    .addCommand(
      withExamples(
        connectedCommand('print')
          .description('Print the token that a command would send; whoever has it is you, for as long as it is good')
          .option('--resource <url>', 'what it is for: a toolset, /mcp, /v1; the api by default')
          .action(token),
        [
          ['quarterdeck token', 'for the api'],
          ['quarterdeck token --resource http://127.0.0.1:7420/mcp', 'for everything you may use, for a client that takes a header'],
        ],
      ),
      { isDefault: true },
    )
    .addCommand(tokenKeysCommand());
