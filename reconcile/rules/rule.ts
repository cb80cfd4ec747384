import type { Drift } from '../../schema/reconcile/drift.ts';
import type { DesiredObject, ObservedObject, ReadObservation } from '../../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { PastFix } from '../past-fix.ts';
import type { WhyEscalate } from '../what-now-types.ts';

export type RuleFacts = {
  drift: Drift;
  observation: ReadObservation;
  /** All that is declared, and the drift's object of it. */
  desired: readonly DesiredObject[];
  declared: DesiredObject | undefined;
  seen: ObservedObject | undefined;
  /** Earlier attempts at this fault, newest first. */
  earlier: readonly PastFix[];
};

/** A deterministic rule: what it fits, what it does, how often, how one knows that it worked and how it is taken back. */
export type Rule = {
  name: string;
  /** What it is for, for `reconcile rules`. */
  description: string;
  /** Faults of the taxonomy that it mends, wholly or in part. */
  mends: readonly string[];
  /** So often for one fault within so many seconds; then it is escalated. */
  cap: { times: number; withinSeconds: number };
  /** How one sees that it worked; judged by `judgeEffect`, outside of any model. */
  verified: string;
  /** How it is undone where it did not; by `undoPlan`. */
  undone: string;
  /** Used only where the ordinary rules came to this end; without it the rule is an ordinary one. */
  after?: readonly WhyEscalate[];
  /** @returns operations, or undefined where the rule does not fit */
  fix: (facts: RuleFacts) => ProposableOperation[] | undefined;
};

export const hasSymptom = ({ drift }: Pick<RuleFacts, 'drift'>, ...codes: string[]): boolean =>
  drift.symptoms.some(({ code }) => codes.includes(code));
