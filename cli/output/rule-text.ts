import type { DeclaredRuleView, RuleView } from '../../schema/reconcile/rule-view.ts';
import { toYaml } from './manifest.ts';
import { plainText } from './plain-text.ts';
import { formatDuration } from './units.ts';

const stateOf = (rule: RuleView): string => (rule.origin === 'builtIn' ? 'live' : rule.spec.state);
const capOf = ({ cap }: RuleView): string => `${cap.times} in ${formatDuration(cap.withinSeconds * 1000)}`;

export const ruleRows = (rules: readonly RuleView[]): { head: string[]; rows: string[][] } => ({
  head: ['NAME', 'FROM', 'STATE', 'CAP', 'WHAT FOR'],
  rows: rules.map((rule) => [
    rule.name,
    rule.origin === 'builtIn' ? 'built in' : rule.origin,
    stateOf(rule),
    capOf(rule),
    rule.description,
  ]),
});

const declaredLines = ({ spec, digest, red }: DeclaredRuleView): string[] => [
  `match       ${plainText(spec.match)}`,
  `targets     ${spec.targets === undefined ? 'all' : spec.targets.map(plainText).join(', ')}`,
  ...(spec.demotedBy === undefined ? [] : [`demoted by  ${plainText(spec.demotedBy)}`]),
  ...(spec.origin === undefined ? [] : [`learned of  ${spec.origin.fixes.map(plainText).join(', ')}`]),
  `tests       ${spec.tests.length === 0 ? 'none' : `${spec.tests.length - red.length} of ${spec.tests.length} hold`}`,
  ...red.map((line) => `  RED       ${plainText(line)}`),
  `digest      ${digest}`,
  'operations',
  ...toYaml(spec.operations)
    .trimEnd()
    .split('\n')
    .map((line) => `  ${plainText(line)}`),
];

/** One rule, with all that it does: what a reviewer has to see before it goes live. */
export const ruleText = (rule: RuleView): string =>
  [
    `rule        ${plainText(rule.name)}`,
    `from        ${rule.origin === 'builtIn' ? 'built in' : rule.origin}`,
    `state       ${stateOf(rule)}`,
    `cap         ${capOf(rule)}, then it is escalated`,
    `what for    ${plainText(rule.description) || '-'}`,
    ...(rule.origin === 'builtIn' ? [] : declaredLines(rule)),
  ].join('\n');
