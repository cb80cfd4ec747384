import type { Command } from 'commander';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';
import { formatDuration } from '../output/units.ts';
import { describeStatus, type PlatformStatus } from '../up/describe-status.ts';
import { requirePlatform } from '../up/find-platform.ts';

const megabytes = (bytes: number): string => `${Math.round(bytes / 1_000_000)} MB`;

const tableOf = ({ processes, memoryBytes }: PlatformStatus): string =>
  renderTable(
    ['PROCESS', 'STATE', 'PID', 'PORT', 'UPTIME', 'RESTARTS', 'MEMORY'],
    [
      ...processes.map(({ name, state, pid, port, uptimeSeconds, restarts, memoryBytes: bytes }) => [
        name,
        state,
        pid === null ? '' : String(pid),
        port === null ? '' : String(port),
        uptimeSeconds === null ? '' : formatDuration(uptimeSeconds * 1000),
        String(restarts),
        bytes === null ? '' : megabytes(bytes),
      ]),
      ['all', '', '', '', '', '', megabytes(memoryBytes)],
    ],
  );

export const registerStatus = (program: Command): void => {
  program
    .command('status')
    .description('show the processes of the platform that runs on a data folder')
    .option('--data <dir>', 'data folder of the platform')
    .addOption(formatOption(['table', 'json']))
    .action(({ data, format }: { data?: string; format: Format }) => {
      const config = readConfig();
      const dataDirectory = data === undefined ? config.dataDirectory : absolutePath(config, data);
      if (format === 'table') requirePlatform(dataDirectory);
      const status = describeStatus(dataDirectory, new Date());
      print(format === 'json' ? JSON.stringify(status, null, 2) : tableOf(status));
      if (!status.running) process.exitCode = exitCodes.error;
    });
};
