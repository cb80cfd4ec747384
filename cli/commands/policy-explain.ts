import type { Command } from 'commander';
import type { DecisionExplanation } from '../../schema/policy-explanation.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { explanationText } from '../output/explanation-text.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { print } from '../output/talk.ts';

type Options = ConnectionOptions & { format: Format };

const explain = async (decision: string, { format, ...options }: Options): Promise<void> => {
  const { api, path } = openSession(options);
  const explanation = await api.get<DecisionExplanation>(`${path}/policy/decisions/${encodeURIComponent(decision)}`);
  print(format === 'json' ? JSON.stringify(explanation, undefined, 2) : explanationText(explanation));
};

export const explainCommand = (): Command =>
  withExamples(
    connectedCommand('explain')
      .description('Why something was allowed or refused: each rule that decided, where it is written, and what it read')
      .argument('<decision>', 'id of a decision, as a refusal and `audit query -o json` show it')
      .addOption(formatOption(['table', 'json']))
      .action(explain),
    [['quarterdeck policy explain dec_k2J9…', 'a refusal shows its id']],
  );
