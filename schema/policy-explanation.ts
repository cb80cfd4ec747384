import type { PolicyEffect } from './decision-basis.ts';
import type { RegoOutcome } from './resources/rego.ts';

/** A place where a policy looks, such as `context.arguments.roots` or `principal in`, and what was there at the decision. */
export type ReadFact = { place: string; value: unknown };

/** A policy that determined a decision. */
export type ExplainedPolicy = {
  id: string;
  effect: 'permit' | 'forbid';
  /** `line` counts from 1 in the text of a PolicySet; null elsewhere. */
  source: { kind: 'Platform' | 'PolicySet' | 'AccessBinding'; name: string; line: number | null };
  text: string;
  annotations: Record<string, string>;
  /** What it read of the request; null where its conditions may look anywhere. */
  reads: ReadFact[] | null;
};

/** One row that a decision left in the audit. */
export type DecisionRow = { sequence: number; at: string; kind: string; outcome: string; errorCode: string | null };

/** What `policy explain` tells of a decision. */
export type DecisionExplanation = {
  decisionId: string;
  at: string;
  person: string | null;
  agent: string | null;
  role: string | null;
  /** The tool, model or resource as the row names it. */
  target: string | null;
  /** What was asked of the policies: for a name that is on no list of the caller that is the listing, not the call. */
  action: string;
  /** Asked whether any call could be allowed, whatever its arguments are. */
  forAnyArguments: boolean;
  /** What the policies said; null where they were not asked. */
  effect: PolicyEffect | null;
  rows: DecisionRow[];
  policyIds: string[];
  policies: ExplainedPolicy[];
  /** What Rego said of what Cedar did not deny, in the order in which it was asked. */
  rego: RegoOutcome[];
  /** All that a policy could have read. */
  facts: ReadFact[];
  /** The same decision made again from the record; null where the record does not suffice. */
  again: { effect: PolicyEffect; policies: string[] } | null;
  /** What of it cannot be told, and why. */
  notes: string[];
};
