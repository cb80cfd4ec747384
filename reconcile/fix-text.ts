import type { Drift } from '../schema/reconcile/drift.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { BlastRadius, DryRun, Plan } from '../schema/reconcile/plan.ts';
import { describeStep } from './describe-step.ts';

const list = (texts: readonly string[]): string => texts.join(', ');
const valueText = (value: unknown): string => (value === undefined ? '(nothing)' : JSON.stringify(value));
const longestValue = 400;
const cut = (text: string): string => (text.length > longestValue ? `${text.slice(0, longestValue)}… (${text.length} characters)` : text);

export const undoTexts: Readonly<Record<Plan['steps'][number]['undo']['kind'], string>> = {
  restore: 'the object is put back as it was before',
  remove: 'what it made is removed',
  undoAct: 'the undoing that the target declares for it',
  forget: 'what was accepted is forgotten',
  irreversible: 'NOTHING UNDOES IT',
  nothing: 'there is nothing to undo',
};

export const dryRunLines = (dryRun: DryRun | undefined): string[] => {
  if (!dryRun) return ['was not asked'];
  if (!dryRun.ok) return [`would not be done (${dryRun.reason}): ${dryRun.message}`];
  if (dryRun.diff.length === 0) return ['changes nothing'];
  return dryRun.diff.map(
    ({ path, before, after }) => `${path || 'the whole object'}: ${cut(valueText(before))} -> ${cut(valueText(after))}`,
  );
};

export const proposerText = ({ source }: Plan): string => {
  if (source.kind === 'rule') return `the rule ${source.rule}`;
  return source.kind === 'person' ? source.person : `the role ${source.role}, by the model ${source.model}`;
};

/** How far a plan reaches, counted by code. */
export const reachText = ({ objects, percent, kinds, namespaces, isReversible, score }: BlastRadius): string =>
  `${objects} ${objects === 1 ? 'object' : 'objects'} (${percent.toFixed(1)} % of the target), ${kinds.join(', ')} in ${namespaces.join(', ') || 'no namespace'}; ${isReversible ? 'can be undone' : 'CANNOT BE UNDONE'}; risk ${score} of 5`;

const fieldText = ({ path, observed, desired, manager }: Drift['fields'][number]): string =>
  `${path} is ${observed === undefined ? 'not there' : JSON.stringify(observed)} instead of ${desired === undefined ? 'not there' : JSON.stringify(desired)}${manager ? ` (written by ${manager})` : ''}`;

const addedText = ({ path, manager }: Drift['fields'][number]): string =>
  `${path} (${manager ? `written by ${manager}` : 'nobody says by whom: an admission webhook, or somebody who emptied `managedFields`'})`;

/** What is to be said in a target so that what was added stays; a manager is what its client calls itself. */
const allowText = (fields: Drift['fields']): string => {
  const managers = [...new Set(fields.flatMap(({ manager }) => (manager ? [manager] : [])))];
  const rules = [
    ...fields.slice(0, 3).map(({ path }) => `{ path: ${path} }`),
    ...managers.slice(0, 2).map((manager) => `{ manager: ${manager} }`),
  ];
  return `To let it stay, declare it, or say so under \`ignore\` of the target: ${rules.join(' or ')}.`;
};

/** What differs, as one sentence. */
export const driftText = ({ kind, object, fields, symptoms }: Drift): string => {
  const name = writeObjectRef(object);
  const signs =
    symptoms.length > 0 ? ` Seen of it: ${list(symptoms.map(({ code, message }) => `${code} (${message.slice(0, 200)})`))}.` : '';
  switch (kind) {
    case 'missing':
      return `${name} is declared and not there.${signs}`;
    case 'extra':
      return `${name} is ours, and declared no more.${signs}`;
    case 'deleting':
      return `${name} is being deleted.${signs}`;
    case 'changed':
      return `${name} differs: ${fields.slice(0, 5).map(fieldText).join('; ')}${fields.length > 5 ? `; and ${fields.length - 5} fields more` : ''}.${signs}`;
    case 'added':
      return `${name} has what nobody declared: ${fields.slice(0, 5).map(addedText).join('; ')}${fields.length > 5 ? `; and ${fields.length - 5} more` : ''}. ${allowText(fields)}${signs}`;
    case 'unhealthy':
      return symptoms.some(({ code }) => code === 'Unreadable')
        ? `${name} cannot be read.${signs}`
        : `${name} is as declared and not well.${signs}`;
  }
};

const wellAgain: Readonly<Record<Drift['kind'], string>> = {
  missing: 'is there again',
  added: 'has only what is declared',
  extra: 'is gone',
  deleting: 'is done with its deletion',
  changed: 'is as it is kept',
  unhealthy: 'is well again',
};

/** What a verified fix did, by whose plan, and what came of it. */
export const mendedText = (plan: Plan, { kind, object }: Drift): string => {
  const did = list(plan.steps.map(({ operation }) => describeStep(operation)));
  return `${writeObjectRef(object)} ${wellAgain[kind]}: ${did} (by ${proposerText(plan)}).`;
};
