import type { Command } from 'commander';
import type { PolicySuggestion } from '../../schema/policy-suggestion.ts';
import { readSince } from '../client/read-since.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { suggestionSummary, suggestionYaml } from '../output/suggestion-text.ts';
import { print, say } from '../output/talk.ts';
import { readLimit } from './policy-backtest.ts';

type Options = ConnectionOptions & { since: string; limit: number; format: Format };

const suggest = async (role: string, { since, limit, format, ...options }: Options): Promise<void> => {
  const { api, path } = openSession(options);
  const query = new URLSearchParams({ since: readSince(since), limit: String(limit) });
  const suggestion = await api.get<PolicySuggestion>(`${path}/policy/suggestions/${encodeURIComponent(role)}?${query}`);
  print(format === 'json' ? JSON.stringify(suggestion, undefined, 2) : suggestionYaml(suggestion));
  for (const line of suggestionSummary(suggestion)) say(line);
};

export const suggestCommand = (): Command =>
  withExamples(
    connectedCommand('suggest')
      .description('The least privilege that the recorded calls of an agent role needed, as a PolicySet, and what it would take away')
      .argument('<role>', 'name of the AgentRole')
      .option('--since <time>', 'calls since a time ago (10m, 24h, 7d) or an instant', '7d')
      .option('--limit <count>', 'the newest so many', readLimit, 5000)
      .addOption(formatOption(['yaml', 'json']))
      .action(suggest),
    [
      ['quarterdeck policy suggest reader --since 30d > least-reader.yaml', 'to be looked at'],
      ['quarterdeck policy backtest least-reader.yaml --since 30d', 'and tried, before it is applied'],
    ],
  );
