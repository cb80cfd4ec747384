import type { DecisionExplanation, ExplainedPolicy, ReadFact } from '../../schema/policy-explanation.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';
import { effectText } from './effect-text.ts';
import { plainText } from './plain-text.ts';

/** Entities as policies write them; what a caller gave is always quoted, so that it cannot look like one. */
const valueText = (place: string, value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map((each) => valueText(place, each)).join(', ')}]`;
  const isEntity = typeof value === 'string' && !place.startsWith('context.arguments') && /^Quarterdeck::\w+::"/.test(value);
  return isEntity ? value : JSON.stringify(value);
};

const factLine = ({ place, value }: ReadFact): string => `${place} = ${valueText(place, value)}`;

const sourceText = ({ kind, name, line }: ExplainedPolicy['source']): string =>
  kind === 'Platform' ? `a rule of the platform, ${name}` : `${kind} ${name}${line === null ? '' : `, line ${line}`}`;

const policyLines = ({ id, effect, source, text, annotations, reads }: ExplainedPolicy): string[] => [
  '',
  `${effect} by ${id}`,
  `  from     ${sourceText(source)}`,
  ...Object.entries(annotations).map(([name, value]) => `  ${`@${name}`.padEnd(8)} ${value}`),
  '  text',
  ...text.split('\n').map((line) => `    ${line}`),
  ...(reads === null ? ['  read     (may look anywhere: see the facts below)'] : []),
  ...(reads && reads.length > 0 ? ['  read', ...reads.map((fact) => `    ${factLine(fact)}`)] : []),
];

const regoLines = ({ policySet, bundle, outcome, rules, messages, durationMs }: RegoOutcome): string[] => [
  '',
  outcome === 'pass'
    ? `let pass by the Rego of PolicySet ${policySet}`
    : `refused by the Rego of PolicySet ${policySet}${outcome === 'deny' ? '' : `, which could not decide: ${outcome}`}`,
  ...(bundle === null ? [] : [`  bundle   ${bundle}`]),
  ...rules.map((rule) => `  rule     ${rule}`),
  ...messages.map((message) => `  says     ${message}`),
  `  took     ${durationMs} ms`,
];

const verdict = ({ effect, forAnyArguments, action }: DecisionExplanation): string => {
  if (effect === null) return 'no policy was asked';
  const asked = forAnyArguments ? `${action}, whatever the arguments` : action;
  return `${effectText(effect)} (${asked})`;
};

/** An explanation for people: the verdict, then each policy that determined it, then all facts. */
export const explanationText = (explanation: DecisionExplanation): string => {
  const { decisionId, at, person, agent, role, target, effect, rows, policyIds, policies, rego, facts, again, notes } = explanation;
  const byRego = new Set(rego.flatMap(({ rules }) => rules));
  const untold = policyIds.filter((id) => !byRego.has(id) && !policies.some((policy) => policy.id === id));
  return [
    `decision   ${decisionId}`,
    `at         ${at}`,
    `who        ${[agent ?? '', role ? `role ${role}` : '', person ? `person ${person}` : ''].filter(Boolean).join(', ') || '-'}`,
    `what       ${target ?? '-'}`,
    `policies   ${verdict(explanation)}`,
    ...rows.map(({ kind, outcome, errorCode }) => `outcome    ${kind}: ${errorCode ? `${outcome} (${errorCode})` : outcome}`),
    ...(again
      ? [
          `again      ${effectText(again.effect)}${again.effect === effect ? ', the same' : ', NOT the same: the record and the policies differ'}`,
        ]
      : []),
    ...rego.flatMap(regoLines),
    ...(effect === 'deny' && policyIds.length === 0 ? ['', 'No policy permits it: what no permit covers is denied.'] : []),
    ...policies.flatMap(policyLines),
    ...untold.map((id) => `\nby ${id}`),
    ...(facts.length > 0 ? ['', 'facts', ...facts.map((fact) => `  ${factLine(fact)}`)] : []),
    ...notes.map((note) => `\nnote: ${note}`),
  ]
    .map((line) => line.split('\n').map(plainText).join('\n'))
    .join('\n');
};
