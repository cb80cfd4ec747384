import type { Command } from 'commander';
import { PlatformError } from '../../schema/errors.ts';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { withExamples } from '../output/command-help.ts';
import { say } from '../output/talk.ts';
import { requirePlatform } from '../up/find-platform.ts';
import { pollUntil } from '../up/poll-until.ts';
import { isRunning, signalProcess } from '../up/process-identity.ts';

/** A stop takes ten seconds at most. */
const goneWithinMs = 15_000;

export const registerDown = (program: Command): void => {
  const command = program
    .command('down')
    .description('Stop the platform that runs on a data folder, and wait until nothing of it runs')
    .option('--data <dir>', 'data folder of the platform')
    .action(async ({ data }: { data?: string }) => {
      const config = readConfig();
      const supervisor = requirePlatform(data === undefined ? config.dataDirectory : absolutePath(config, data));
      signalProcess(supervisor, 'SIGTERM');
      await pollUntil(
        () => {
          if (isRunning(supervisor))
            throw new PlatformError(
              'conflict',
              `The platform (pid ${supervisor.pid}) does not stop: \`kill -9 ${supervisor.pid}\` ends it; the next \`up\` cleans up.`,
            );
        },
        { deadlineMs: goneWithinMs, everyMs: 100 },
      );
      say('stopped');
    });
  withExamples(command, [['quarterdeck down', 'what the platform knows is kept; `quarterdeck up` starts it again']]);
};
