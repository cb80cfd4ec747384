import type { Command } from 'commander';
import { type Halt, haltName } from '../../schema/halt.ts';
import { openSession } from '../client/session.ts';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
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

/** What is halted in the default project, as far as the platform says so; a status is shown without it too. */
const findHalts = async (data: string | undefined): Promise<Halt[] | undefined> => {
  try {
    const { api, path } = openSession({ org: 'default', project: 'default', ...(data === undefined ? {} : { data }) });
    return (await api.get<{ halts: Halt[] }>(`${path}/halts`)).halts;
  } catch {
    return undefined;
  }
};

const status = async ({ data, format }: { data?: string; format: Format }): Promise<void> => {
  const config = readConfig();
  const dataDirectory = data === undefined ? config.dataDirectory : absolutePath(config, data);
  if (format === 'table') requirePlatform(dataDirectory);
  const found = describeStatus(dataDirectory, new Date());
  const halts = found.running ? await findHalts(data) : undefined;
  if (format === 'json') print(JSON.stringify({ ...found, ...(halts ? { halts } : {}) }, null, 2));
  else {
    print(tableOf(found));
    for (const halt of halts ?? []) print(`HALTED  ${haltName(halt)}  by ${halt.haltedBy}${halt.reason === '' ? '' : `: ${halt.reason}`}`);
    say(`profile ${found.profile}, logs in ${found.logDirectory}`);
  }
  if (!found.running) process.exitCode = exitCodes.error;
};

export const registerStatus = (program: Command): void => {
  const command = program
    .command('status')
    .description('Show the processes of the platform that runs on a data folder; memory is that of a process and all it started')
    .option('--data <dir>', 'data folder of the platform')
    .addOption(formatOption(['table', 'json']))
    .action(status);
  withExamples(command, [
    ['quarterdeck status', 'what runs, since when, how often it was started again'],
    ['quarterdeck status -o json', 'for programs; exit code 1 when nothing runs'],
  ]);
};
