import { Command } from 'commander';
import type { DeclaredRuleView, RuleView } from '../../schema/reconcile/rule-view.ts';
import { confirm } from '../client/confirm.ts';
import { type ConnectionOptions, connectedCommand, openSession, type Session } from '../client/session.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYaml } from '../output/manifest.ts';
import { ruleRows, ruleText } from '../output/rule-text.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';

type Options = ConnectionOptions & { format: Format };
type PromoteOptions = Options & { digest?: string; yes?: boolean };
type DemoteOptions = Options & { reason: string };

const listRules = async ({ api, path }: Session): Promise<RuleView[]> =>
  (await api.get<{ rules: RuleView[] }>(`${path}/reconcile/rules`)).rules;

const findRule = async (session: Session, name: string): Promise<RuleView> => {
  const rule = (await listRules(session)).find((one) => one.name === name);
  if (rule) return rule;
  throw new CliError(`There is no rule ${name}`, { code: 'not_found', next: 'quarterdeck reconcile rules ls' });
};

const writeRule = (rule: RuleView, format: Format): string => {
  if (format === 'json') return JSON.stringify(rule, undefined, 2);
  if (format === 'yaml') return toYaml(rule);
  return format === 'name' ? rule.name : ruleText(rule);
};

const list = async ({ format, ...options }: Options): Promise<void> => {
  const rules = await listRules(openSession(options));
  if (format === 'json') return print(JSON.stringify({ rules }, undefined, 2));
  if (format === 'yaml') return print(toYaml({ rules }));
  if (format === 'name') return print(rules.map(({ name }) => name).join('\n'));
  const { head, rows } = ruleRows(rules);
  print(renderTable(head, rows));
};

const show = async (name: string, { format, ...options }: Options): Promise<void> =>
  print(writeRule(await findRule(openSession(options), name), format));

const promote = async (name: string, { format, digest, yes, ...options }: PromoteOptions): Promise<void> => {
  const session = openSession(options);
  const rule = await findRule(session, name);
  if (rule.origin === 'builtIn') throw usageError(`${name} is built in and always live; a target leaves it out by \`rulesOff\``);
  if (digest !== undefined && (digest.length < 12 || !rule.digest.startsWith(digest)))
    throw new CliError(`The rule ${name} has changed since you looked, or --digest is shorter than 12 characters`, {
      code: 'conflict',
      next: `quarterdeck reconcile rules show ${name}`,
    });
  if (!yes) {
    print(ruleText(rule));
    await confirm(
      `Let this rule act by itself in ${session.tenancy.org}/${session.tenancy.project}?`,
      'Promoting asks a person; in a script say --yes, and --digest DIGEST for what was looked at',
    );
  }
  const path = `${session.path}/reconcile/rules/${encodeURIComponent(name)}/promote`;
  const answer = await session.api.post<{ rule: DeclaredRuleView }>(path, { digest: rule.digest });
  print(format === 'table' ? `${name} is live` : writeRule(answer.rule, format));
};

const demote = async (name: string, { format, reason, ...options }: DemoteOptions): Promise<void> => {
  const session = openSession(options);
  const path = `${session.path}/reconcile/rules/${encodeURIComponent(name)}/demote`;
  const answer = await session.api.post<{ rule: DeclaredRuleView }>(path, { reason });
  print(format === 'table' ? `${name} is demoted and does nothing` : writeRule(answer.rule, format));
};

const formats = () => formatOption(['table', 'json', 'yaml', 'name']);

export const rulesCommand = (): Command =>
  withExamples(
    new Command('rules')
      .description('Rules that mend drift without a model: built in, declared, and learned from what people approved')
      .addCommand(connectedCommand('ls').description('List them in the order in which they are tried').addOption(formats()).action(list))
      .addCommand(
        connectedCommand('show')
          .description('Show one: what it matches, what it does, whether its tests hold')
          .argument('<name>', 'of the rule')
          .addOption(formats())
          .action(show),
      )
      .addCommand(
        connectedCommand('promote')
          .description('Let a draft or a demoted rule act')
          .argument('<name>', 'of the ReconcileRule')
          .option('--digest <digest>', 'only if it is still what was looked at')
          .option('-y, --yes', 'do not ask')
          .addOption(formats())
          .action(promote),
      )
      .addCommand(
        connectedCommand('demote')
          .description('Take a rule back: it does nothing until it is promoted again')
          .argument('<name>', 'of the ReconcileRule')
          .requiredOption('--reason <text>', 'why, for the record')
          .addOption(formats())
          .action(demote),
      ),
    [
      ['quarterdeck reconcile rules ls', 'what there is, and what was learned'],
      ['quarterdeck reconcile rules show learned-0123456789ab', 'before it goes live'],
      ['quarterdeck reconcile rules promote learned-0123456789ab', 'look at it, and let it act'],
    ],
  );
