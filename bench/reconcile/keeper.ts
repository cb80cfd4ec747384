import type { Plan, PlanFault } from '../../schema/reconcile/plan.ts';
import type { FixState, TargetPhase } from '../../schema/reconcile/target-state.ts';

/** One attempt as its history shows it. */
export type SeenFix = {
  id: string;
  state: FixState;
  plan: Plan | null;
  faults: readonly PlanFault[];
  message: string;
  modelCalls: number;
  costMicroUsd: number;
  approvalId: string | null;
  /** Of Cedar's decision about it; empty where it was never asked. */
  decisionId: string | null;
};
export type SeenTarget = { phase: TargetPhase; message: string; fixes: readonly SeenFix[] };

/** What keeps the targets of the bench, as somebody with a token of the platform sees it. */
export type Keeper = {
  declare: (name: string, spec: object) => Promise<void>;
  look: (name: string) => Promise<SeenTarget>;
  forget: (name: string) => Promise<void>;
};
