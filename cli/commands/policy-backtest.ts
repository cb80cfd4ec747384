import { type Command, InvalidArgumentError } from 'commander';
import type { BacktestReport, BacktestRequest } from '../../schema/policy-backtest.ts';
import { placeRefusal } from '../apply/check-documents.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { readSince } from '../client/read-since.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readConfig } from '../config.ts';
import { backtestSummary, flipTable } from '../output/backtest-text.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print, say } from '../output/talk.ts';

type Options = ConnectionOptions & { since: string; limit: number; whole?: boolean; format: Format };

/** @throws {InvalidArgumentError} for what is no number of calls */
export const readLimit = (text: string): number => {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 50_000) return limit;
  throw new InvalidArgumentError('Give a number of calls from 1 to 50000.');
};

const backtest = async (files: string[], { since, limit, whole, format, ...options }: Options): Promise<void> => {
  const documents = await loadDocuments(readConfig(), files);
  const { api, path } = openSession(options);
  const request: BacktestRequest = {
    documents: documents.map(({ value }) => value),
    isWhole: whole ?? false,
    since: readSince(since),
    limit,
  };
  const report = await api.post<BacktestReport>(`${path}/policy/backtest`, request).catch((error: unknown) => {
    throw placeRefusal(error, documents);
  });
  if (report.flipped > 0) process.exitCode = exitCodes.changes;
  if (format === 'json') return print(JSON.stringify(report, undefined, 2));
  if (report.flips.length > 0) print(flipTable(report));
  for (const line of backtestSummary(report)) say(line);
};

export const backtestCommand = (): Command =>
  withExamples(
    connectedCommand('backtest')
      .description('Which recorded calls changed policies would decide otherwise; exit code 3 when there is one')
      .argument('<file...>', 'PolicySets and AccessBindings: files, folders or -; each takes the place of the declared one of its name')
      .option('--whole', 'they are all that there will be: leave out what is declared beside them')
      .option('--since <time>', 'calls since a time ago (10m, 24h, 7d) or an instant', '24h')
      .option('--limit <count>', 'the newest so many', readLimit, 5000)
      .addOption(formatOption(['table', 'json']))
      .action(backtest),
    [
      ['quarterdeck policy backtest policy.yaml', 'the calls of the last day'],
      ['quarterdeck policy backtest policies/ --whole --since 7d --limit 50000', 'a folder with all policies of the project'],
    ],
  );
