import { passiveOperations } from '../schema/reconcile/operation.ts';
import type { Plan } from '../schema/reconcile/plan.ts';

/** Whether a plan changes nothing in the world: it waits, asks, or leaves things as they are. */
export const isPassivePlan = ({ steps }: Pick<Plan, 'steps'>): boolean =>
  steps.every(({ operation }) => passiveOperations.has(operation.op));

/** What a plan asks its owner, as one text; empty where it asks nothing. */
export const questionOf = ({ steps }: Pick<Plan, 'steps'>): string =>
  steps.flatMap(({ operation }) => (operation.op === 'askOwner' ? [operation.question] : [])).join(' ');

/** What people are told of a plan that changes nothing, where policy wants them to look at it: its question, else what it says. */
export const askingText = (plan: Pick<Plan, 'steps' | 'source'>): string => {
  const question = questionOf(plan);
  if (question !== '') return question;
  const said = plan.source.kind === 'model' ? `: ${plan.source.diagnosis}` : '.';
  return `Nothing is to be done about it but to wait, it is said${said}`;
};
