import type { Drift } from '../../schema/reconcile/drift.ts';
import type { DesiredObject, ObservedObject, ReadObservation } from '../../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';

export type RuleFacts = {
  drift: Drift;
  observation: ReadObservation;
  /** The drift's object as declared and as seen, where there is one. */
  declared: DesiredObject | undefined;
  seen: ObservedObject | undefined;
};

/** A deterministic rule. How its effect is judged and undone is the plan's (`judgeEffect`, `undoPlan`), the same for each. */
export type Rule = {
  name: string;
  /** What it is for, for `reconcile rules`. */
  description: string;
  /** So often for one fault within so many seconds; then it is escalated. */
  cap: { times: number; withinSeconds: number };
  /** @returns operations, or undefined where the rule does not fit */
  fix: (facts: RuleFacts) => ProposableOperation[] | undefined;
};

export const hasSymptom = ({ drift }: RuleFacts, ...codes: string[]): boolean => drift.symptoms.some(({ code }) => codes.includes(code));
