import { describeStep } from '../../reconcile/describe-step.ts';
import type { WhatNow } from '../../reconcile/what-now.ts';
import type { Conflict, Drift } from '../../schema/reconcile/drift.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import { writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { TargetDetail } from '../../schema/reconcile/requests.ts';

const list = (texts: readonly string[]): string => texts.join(', ');
const moneyOf = (microUsd: number): string => `$${(microUsd / 1_000_000).toFixed(2)}`;

const fieldText = ({ path, observed, desired, manager }: Drift['fields'][number]): string =>
  `${path} is ${observed === undefined ? 'not there' : JSON.stringify(observed)} instead of ${desired === undefined ? 'not there' : JSON.stringify(desired)}${manager ? ` (written by ${manager})` : ''}`;

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
    case 'unhealthy':
      return `${name} is as declared and not well.${signs}`;
  }
};

export const conflictText = ({ object, path, manager, why }: Conflict): string => {
  const what = `${writeObjectRef(object)}${path}`;
  const by = manager ? ` by ${manager}` : '';
  return why === 'held'
    ? `${what} differs and is held.`
    : `${what} is left as it is: ${why === 'autoscaled' ? 'an autoscaler sets it' : `it is owned${by}`}.`;
};

export const holdTexts = ({ holds, pause, isPausedBySpec }: Pick<TargetDetail, 'holds' | 'pause' | 'isPausedBySpec'>): string[] => [
  ...(isPausedBySpec ? ['It is declared `paused: true`: it is looked at, and not changed.'] : []),
  ...(pause
    ? [
        `${pause.target ? 'It' : 'All of the project'} is paused by ${pause.pausedBy} since ${pause.pausedAt} ${pause.untilAt ? `until ${pause.untilAt}` : 'until somebody resumes it'}: ${pause.reason}.`,
      ]
    : []),
  ...holds.map(
    ({ object, path, heldBy, untilAt, reason, id }) =>
      `${object === '' ? 'All of it' : object.replace(/^[^/]*\//, '')}${path} is held by ${heldBy} until ${untilAt} (${id}): ${reason}.`,
  ),
];

const sourceText = ({ plan }: Fix): string => {
  if (plan === null) return 'without a plan yet';
  const { source } = plan;
  if (source.kind === 'rule') return `by the rule ${source.rule}`;
  if (source.kind === 'person') return `by ${source.person}`;
  return `proposed by the role ${source.role} (${source.model}, ${Math.round(source.confidence * 100)} % sure)`;
};

export const fixText = (fix: Fix): string => {
  const steps = fix.plan ? `: ${fix.plan.steps.map(({ operation }) => describeStep(operation)).join('; ')}` : '';
  const cost = fix.modelCalls > 0 ? ` ${fix.modelCalls} model calls, ${moneyOf(fix.costMicroUsd)}.` : '';
  return `${fix.id} (${fix.beganAt}) ${sourceText(fix)} is ${fix.state}${steps}.${fix.message ? ` ${fix.message}` : ''}${cost}`;
};

export const ruleText = (chosen: { ok: true; rule: string } | { ok: false; reason: 'no-rule' | 'capped' }, rules: number): string =>
  chosen.ok
    ? `The rule ${chosen.rule} fits it.`
    : chosen.reason === 'capped'
      ? 'A rule fits it and is used up: it did not help as often as its cap allows.'
      : `None of ${rules} rules fits it.`;

export const nextText = (next: WhatNow): string => {
  switch (next.next) {
    case 'nothing':
      return `Next: nothing. ${next.because}`;
    case 'wait':
      return `Next: it waits ${next.untilMs === null ? 'until somebody acts' : `until ${new Date(next.untilMs).toISOString()}`}. ${next.because}`;
    case 'contested':
      return `Next: nothing is written, because ${next.field || 'it'} is contested. ${next.because}`;
    case 'rule':
      return `Next: a rule mends ${writeObjectRef(next.drift.object)}, if one fits. ${next.because}`;
    case 'escalate':
      return `Next: ${writeObjectRef(next.drift.object)} is diagnosed (${next.why}). ${next.because}`;
  }
};

export const budgetText = (chargedMicroUsd: number, perDayMicroUsd: number, role: string | undefined): string =>
  role === undefined
    ? 'No role diagnoses for it: what no rule mends is left to people at once.'
    : `Diagnoses by ${role} were charged ${moneyOf(chargedMicroUsd)} of ${moneyOf(perDayMicroUsd)} today.`;
