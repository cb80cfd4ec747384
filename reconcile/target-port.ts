import type { Desired, Observation } from '../schema/reconcile/observation.ts';
import type { Operation } from '../schema/reconcile/operation.ts';
import type { DryRun, Precondition, Rewritten, StepOutcome } from '../schema/reconcile/plan.ts';
import type { ReconcileTargetSpec, TargetSpecOf, TargetType } from '../schema/resources/reconcile-target.ts';

/** A target as its adapter gets it. */
export type TargetOf<Spec extends ReconcileTargetSpec = ReconcileTargetSpec> = {
  org: string;
  project: string;
  name: string;
  generation: number;
  spec: Spec;
  /** What people hold and what is left as it is: `object` an `objectKey` (empty for all), `path` a JSON pointer (empty for the whole object). */
  holds?: readonly { object: string; path: string }[];
  /** What verified fixes made other than declared (`overlayDesired`): `reapply` leaves it as it is; other operations may change it. */
  accepted?: readonly { object: string; path: string }[];
};

/** What an apply carries: who it is (the same again finds what became of it), and that it still holds the target's lock. */
export type ApplyContext = {
  operationId: string;
  /** It was tried before and nobody knows what came of that: what is as it is to be by now is taken for our doing, so that it can be undone. */
  isRetry?: boolean;
  precondition: Precondition;
  /** Of an undo: what is the same without these fields is as the step left it, since whoever writes them does so at any write, the system's own too. */
  rewritten?: Rewritten;
  /** Asked right before the write. @returns false when a later holder has taken the target; then nothing is written */
  holdsFence: () => Promise<boolean>;
  /** Reads a kept state by its digest, for undoing. */
  readState: (digest: string) => Promise<unknown>;
  signal: AbortSignal;
};

/**
 * What the reconciler observes and changes, one adapter a kind of target. None of these throws for what the observed system does: that is
 * their result. They throw only where the signal is aborted.
 */
export type TargetPort<T extends TargetType = TargetType> = {
  type: T;
  /** What was declared, in its normal form (defaults that the system would add included where they can be known). */
  desired(target: TargetOf<TargetSpecOf<T>>, signal: AbortSignal): Promise<Desired>;
  observe(target: TargetOf<TargetSpecOf<T>>, signal: AbortSignal): Promise<Observation>;
  /** Calls `changed` when something of the target may have changed, until the signal is aborted; a lost watch is taken up again. */
  watch(target: TargetOf<TargetSpecOf<T>>, changed: () => void, signal: AbortSignal): void;
  /** What the operation would do, asked of the system itself, without doing it. */
  dryRun(target: TargetOf<TargetSpecOf<T>>, operation: Operation, signal: AbortSignal): Promise<DryRun>;
  /** Does it, once for one operation id. */
  apply(target: TargetOf<TargetSpecOf<T>>, operation: Operation, context: ApplyContext): Promise<StepOutcome>;
};
