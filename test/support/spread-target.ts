import type { TargetOf, TargetPort } from '../../reconcile/target-port.ts';

/** One adapter over many: each target has its own, found by `of`. */
export const spreadTarget = (of: (target: TargetOf) => TargetPort<'kubernetes'>): TargetPort<'kubernetes'> => ({
  type: 'kubernetes',
  desired: (target, signal) => of(target).desired(target, signal),
  observe: (target, signal) => of(target).observe(target, signal),
  watch: (target, onChange, signal) => of(target).watch(target, onChange, signal),
  dryRun: (target, operation, signal) => of(target).dryRun(target, operation, signal),
  apply: (target, operation, context) => of(target).apply(target, operation, context),
});
