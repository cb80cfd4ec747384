import type { GrantChange, PolicySuggestion } from '../../schema/policy-suggestion.ts';
import { toYamlDocuments } from './manifest.ts';
import { plainText } from './plain-text.ts';
import { formatCount } from './units.ts';

const thing = ({ type, name, toolset, by }: GrantChange): string =>
  `  ${type.toLowerCase()} ${name}${toolset ? ` behind ${toolset}` : ''}, allowed by ${by.join(', ')}`;

const block = (title: string, lines: readonly string[]): string[] => (lines.length > 0 ? [title, ...lines] : []);

const narrowedLine = ({ type, name, calls, conditions, notes }: PolicySuggestion['narrowed'][number]): string =>
  `  ${type.toLowerCase()} ${name}, ${formatCount(calls)} ${calls === 1 ? 'call' : 'calls'}: only where ${conditions.join(' and ') || 'it is listed'}${notes.length > 0 ? `; ${notes.join('; ')}` : ''}`;

/** What applying it changes, in lines: what is no longer allowed, what is held to less, and what stays although it was not needed. */
export const suggestionRemarks = ({ takenAway, narrowed, stillAllowed }: PolicySuggestion): string[] =>
  [
    ...block('Takes away what is allowed today and was not needed:', takenAway.map(thing)),
    ...block('Holds what was needed to what was seen:', narrowed.map(narrowedLine)),
    ...block('Stays allowed, though it was not needed, by other policies:', stillAllowed.map(thing)),
  ].map(plainText);

/** Resources that can be applied, with what they change as comments above. */
export const suggestionYaml = (suggestion: PolicySuggestion): string => {
  const { policySet, bindings } = suggestion;
  const kept = bindings.flatMap(({ after }) => (after ? [after] : []));
  return [...suggestionRemarks(suggestion).map((line) => `# ${line}`), toYamlDocuments([policySet, ...kept])].join('\n');
};

/** What is to be done beside applying it, and how sure it is. */
export const suggestionSummary = ({ role, calls, firstAt, lastAt, bindings, check, notes }: PolicySuggestion): string[] => [
  `From ${formatCount(calls)} allowed ${calls === 1 ? 'call' : 'calls'} of the role ${role}, ${firstAt.slice(0, 19)}Z to ${lastAt.slice(0, 19)}Z: what it did not need in that time is taken away.`,
  `Decided again as if it were applied: ${formatCount(check.allowed)} allowed, ${formatCount(check.refused.length)} refused.`,
  ...check.refused
    .slice(0, 5)
    .map(
      ({ decisionId, by, needsPerson }) =>
        `  ${decisionId} by ${by.join(', ') || 'no permit'}${needsPerson ? ', until a person approves it' : ''}`,
    ),
  ...bindings
    .filter(({ after }) => after === null)
    .map(({ name }) => `It takes the place of the AccessBinding ${name}: quarterdeck delete accessbinding ${name}`),
  ...notes,
];
