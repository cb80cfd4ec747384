import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { ProposableOperation } from '../schema/reconcile/operation.ts';
import type { BlastRadius, Plan } from '../schema/reconcile/plan.ts';
import { canonicalText } from './canonical-text.ts';

/** Exactly what an operation says, for people: its name, its object and each of its values. Written by code, never by who proposed it. */
export const describeStep = ({ op, object, ...values }: ProposableOperation): string => {
  const said = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${canonicalText(value)}`);
  return [op, writeObjectRef(object), ...said].join(' ');
};

/** What people approve, as lines of text. */
export const renderPlan = (plan: Plan, blast: BlastRadius): string =>
  [
    `Target ${plan.org}/${plan.project}/${plan.target} (generation ${plan.generation})`,
    `Fault: ${plan.faultKind}`,
    ...plan.steps.map(
      ({ operation, undo, expected }, index) => `${index + 1}. ${describeStep(operation)}\n   expected: ${expected}\n   undo: ${undo.kind}`,
    ),
    `Reach: ${blast.objects} objects (${blast.percent.toFixed(1)} %), namespaces ${blast.namespaces.join(', ') || 'none'}, ${blast.isReversible ? 'can be undone' : 'CANNOT be undone'}, score ${blast.score} of 5`,
  ].join('\n');
