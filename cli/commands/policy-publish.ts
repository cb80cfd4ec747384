import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { WaitingChange } from '../../schema/approval.ts';
import type { BacktestReport } from '../../schema/policy-backtest.ts';
import type { Publication, PublishRequest } from '../../schema/policy-publication.ts';
import { placeRefusal } from '../apply/check-documents.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { readSince } from '../client/read-since.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { backtestSummary, flipTable } from '../output/backtest-text.ts';
import { CliError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { sayWaiting } from '../output/say-waiting.ts';
import { print, say } from '../output/talk.ts';
import { readLimit } from './policy-backtest.ts';

type Options = ConnectionOptions & { since: string; limit: number; acceptFlips?: boolean; format: Format };

/** @throws {CliError} where flips are not accepted, by a person or by the option */
const confirmFlips = async ({ flipped }: BacktestReport): Promise<void> => {
  const next = 'publish with --accept-flips if that is meant';
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new CliError('Recorded calls would be decided otherwise, so nothing was published', {
      code: 'policy_flips',
      exitCode: exitCodes.changes,
      next,
    });
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`Publish, though ${flipped} would be decided otherwise? [y/N] `).finally(() => terminal.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('Nothing was published', { code: 'cancelled', exitCode: exitCodes.interrupted });
};

const publish = async (files: string[], { since, limit, acceptFlips, format, ...options }: Options): Promise<void> => {
  const documents = await loadDocuments(readConfig(), files);
  const { api, path } = openSession(options);
  const request = { documents: documents.map(({ value }) => value), since: readSince(since), limit };
  const ask = <T>(where: string, body: object): Promise<T> =>
    api.post<T>(`${path}/policy/${where}`, body).catch((error: unknown) => {
      throw placeRefusal(error, documents);
    });
  const report = await ask<BacktestReport>('backtest', request);
  if (report.flips.length > 0) say(flipTable(report));
  for (const line of backtestSummary(report)) say(line);
  if (report.flipped > 0 && !acceptFlips) await confirmFlips(report);
  const body: PublishRequest = { ...request, acceptFlips: report.flipped > 0 };
  const publication = await ask<Publication | WaitingChange>('publish', body);
  if (format === 'json') print(JSON.stringify(publication, undefined, 2));
  if ('approvalId' in publication) return sayWaiting(publication);
  if (format === 'json') return;
  print(`published version ${publication.version}: ${publication.policySets.join(', ')}`);
};

export const publishCommand = (): Command =>
  withExamples(
    connectedCommand('publish')
      .description('Put PolicySets into force: judged, tried on recorded calls, signed and taken over as a whole')
      .argument('<file...>', 'PolicySets: files, folders or -; those of the project that are not given stay as they are')
      .option('--since <time>', 'try on calls since a time ago (10m, 24h, 7d) or an instant', '24h')
      .option('--limit <count>', 'the newest so many', readLimit, 5000)
      .option('--accept-flips', 'although recorded calls would be decided otherwise')
      .addOption(formatOption(['table', 'json']))
      .action(publish),
    [['quarterdeck policy publish policy.yaml --since 7d', 'shows what would change, and asks']],
  );
