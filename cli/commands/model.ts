import { Command } from 'commander';
import { installLocalModel } from '../../runtime/local-model/install-local-model.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { callModel } from '../client/call-model.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { resourceRows } from '../output/resource-columns.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { formatDuration } from '../output/units.ts';
import { cacheFolder } from '../setup/cache-folder.mjs';

type Options = ConnectionOptions & { format: Format };

const list = async ({ format, ...connection }: Options): Promise<void> => {
  const { api, path } = openSession(connection);
  const { items } = await api.get<{ items: StoredResource[] }>(`${path}/resources/Model`);
  if (format === 'json') return print(JSON.stringify({ items }, undefined, 2));
  if (items.length === 0) return say('No model is declared; see `quarterdeck describe schema Model`.');
  const { head, rows } = resourceRows(items, new Date());
  print(format === 'name' ? items.map(({ metadata }) => metadata.name).join('\n') : renderTable(head, rows));
};

/** Installs the tiny model into the cache, unless it is there. @returns where it lies */
export const installTinyModel = (signal?: AbortSignal): Promise<{ modelPath: string }> => {
  const { pipIndexUrl } = readConfig();
  return installLocalModel({ cacheDirectory: cacheFolder(), onProgress: say, environment: { pipIndexUrl }, signal });
};

const install = async (name: string): Promise<void> => {
  if (name !== 'tiny') throw usageError(`There is no model ${name} to install; expected tiny. Models of providers need no installation`);
  const { modelPath } = await installTinyModel();
  print(modelPath);
};

const tryModel = async (
  alias: string,
  prompt: string,
  { format, maxTokens, ...connection }: Options & { maxTokens: string },
): Promise<void> => {
  if (!/^[1-9]\d{0,5}$/.test(maxTokens)) throw usageError(`--max-tokens ${maxTokens} is not a whole number above 0`);
  const { platform } = openSession(connection);
  const startedAt = performance.now();
  const answer = await callModel(platform, alias, prompt, Number(maxTokens));
  if (format === 'json') return print(JSON.stringify(answer.body, undefined, 2));
  print(answer.text);
  say(`${answer.inputTokens} + ${answer.outputTokens} tokens in ${formatDuration(performance.now() - startedAt)}`);
};

export const modelCommand = (): Command =>
  withExamples(
    new Command('model')
      .description('List, install and try models')
      .addCommand(
        connectedCommand('ls')
          .description('List the aliases')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
      )
      .addCommand(
        new Command('install').description('Install the tiny model that runs on this machine').argument('<name>', 'tiny').action(install),
      )
      .addCommand(
        connectedCommand('try')
          .description('Ask a model one thing, through the gateway')
          .argument('<alias>', 'name of a Model')
          .argument('<prompt>', 'what to ask')
          .option('--max-tokens <count>', 'of the answer', '256')
          .addOption(formatOption(['table', 'json']))
          .action(tryModel),
      ),
    [
      ['quarterdeck model install tiny', 'the small model for trying things out, 98 MB'],
      ['quarterdeck model try fast "Say hello"', 'through policy, limits and audit, as an agent does'],
      ['quarterdeck model ls', 'the aliases that roles may name'],
    ],
  );
