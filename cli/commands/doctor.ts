import type { Command } from 'commander';
import { absolutePath } from '../client/working-directory.ts';
import { readConfig } from '../config.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print } from '../output/talk.ts';
import { checkMachine, type Finding } from '../up/check-machine.ts';
import { readPort } from './up.ts';

const renderFinding = ({ state, name, detail, help }: Finding): string =>
  `${state.padEnd(4)}  ${name.padEnd(11)}  ${detail}${help === undefined ? '' : `\n      ${' '.repeat(11)}  try: ${help}`}`;

export const registerDoctor = (program: Command): void => {
  const command = program
    .command('doctor')
    .description('Look whether this machine has what a platform needs, by using each part; exit code 1 when one is missing')
    .option('--data <dir>', 'data folder that will be used')
    .option('--port <port>', 'first of the ten ports that will be used', readPort, 7420)
    .addOption(formatOption(['table', 'json']))
    .action(async ({ data, port, format }: { data?: string; port: number; format: Format }) => {
      const config = readConfig();
      const findings = await checkMachine({
        dataDirectory: data === undefined ? config.dataDirectory : absolutePath(config, data),
        port,
        config,
      });
      print(format === 'json' ? JSON.stringify({ findings }, null, 2) : findings.map(renderFinding).join('\n'));
      if (findings.some(({ state }) => state === 'fail')) process.exitCode = 1;
    });
  withExamples(command, [
    ['quarterdeck doctor', 'each part with ok, warn or fail, and the command that helps'],
    ['quarterdeck doctor --data DIR --port 8000', 'for a platform that will be started there'],
  ]);
};
