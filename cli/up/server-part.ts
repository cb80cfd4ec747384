import { closeSync } from 'node:fs';
import { type Command, spawnCommand } from './command.ts';
import { openLog } from './log-file.ts';
import type { Part } from './part.ts';

/**
 * Postgres or Temporal as a part of the platform.
 * @param options.command - made anew for each start
 * @param options.waitUntilReady - resolves when it answers; its signal says that the process has ended
 */
export const serverPart = ({
  command,
  waitUntilReady,
  logFile,
  ...part
}: Omit<Part, 'launch'> & { command(): Command; waitUntilReady(signal: AbortSignal): Promise<void>; logFile: string }): Part => ({
  ...part,
  launch: () => {
    const log = openLog(logFile);
    const child = spawnCommand(command(), ['ignore', log, log]);
    closeSync(log);
    const ended = new AbortController();
    child.once('exit', () => ended.abort());
    child.once('error', () => ended.abort());
    const ready = new Promise<void>((resolve, reject) => {
      waitUntilReady(ended.signal).then(resolve, (error: unknown) => {
        if (!ended.signal.aborted) reject(error);
      });
    });
    return { child, ready };
  },
});
