import { describeStep } from '../../reconcile/describe-step.ts';
import type { AcceptedDeviation } from '../../reconcile/overlay-desired.ts';
import type { PausedKind } from '../../reconcile/paused-kinds.ts';
import type { WhatNow } from '../../reconcile/what-now-types.ts';
import type { Conflict } from '../../schema/reconcile/drift.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import { writeObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { TargetDetail } from '../../schema/reconcile/requests.ts';

const moneyOf = (microUsd: number): string => `$${(microUsd / 1_000_000).toFixed(2)}`;

export const conflictText = ({ object, path, manager, why }: Conflict): string => {
  const what = `${writeObjectRef(object)}${path}`;
  const by = manager ? ` by ${manager}` : '';
  switch (why) {
    case 'held':
      return `${what} differs and is held.`;
    case 'autoscaled':
      return `${what} is left as it is: an autoscaler sets it.`;
    case 'owned':
      return `${what} is left as it is: it is owned${by}.`;
    case 'unreadable':
      return `${what} says that it is ours, is not declared, and is too large to be read: it is neither compared nor deleted. Look at it by hand.`;
  }
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

export const pausedKindText = ({ kind, fixId, untilMs }: PausedKind): string =>
  `Fixes of the kind \`${kind}\` are made here with a person's approval only, until ${new Date(untilMs).toISOString()}: ${fixId} made things worse and was taken back.`;

const sourceText = ({ plan }: Fix): string => {
  if (plan === null) return 'without a plan yet';
  const { source } = plan;
  if (source.kind === 'rule') return `by the rule ${source.rule}`;
  if (source.kind === 'person') return `by ${source.person}`;
  return `proposed by the role ${source.role} (${source.model}, ${Math.round(source.confidence * 100)} % sure)`;
};

export const fixText = (fix: Fix): string => {
  const steps = fix.plan ? `: ${fix.plan.steps.map(({ operation }) => describeStep(operation)).join('; ')}` : '';
  const cost =
    fix.modelCalls > 0 ? ` ${fix.modelCalls} model ${fix.modelCalls === 1 ? 'call' : 'calls'}, ${moneyOf(fix.costMicroUsd)}.` : '';
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
      // a model knows nothing of what people had in mind
      if (next.why === 'was-held') return `Next: people are asked. ${next.because}`;
      return `Next: ${writeObjectRef(next.drift.object)} is diagnosed (${next.why}). ${next.because}`;
  }
};

export const budgetText = (chargedMicroUsd: number, perDayMicroUsd: number, role: string | undefined): string =>
  role === undefined
    ? 'No role diagnoses for it: what no rule mends is left to people at once.'
    : `Diagnoses by ${role} were charged ${moneyOf(chargedMicroUsd)} of ${moneyOf(perDayMicroUsd)} today.`;

export const acceptedText = ({ fixId, object, operation, by, sinceAt }: AcceptedDeviation): string =>
  `${writeObjectRef(object)} is other than declared since ${sinceAt}, and stays so until it is declared anew: ${describeStep(operation)} (${fixId}, by a ${by}).`;
