import type { PlatformTarget } from '../../activities/targets/platform-context.ts';
import { createPlatformTarget, type PlatformTargetOptions } from '../../activities/targets/platform-target.ts';
import { diffTarget } from '../../reconcile/diff-target.ts';
import type { ApplyContext } from '../../reconcile/target-port.ts';
import type { Drift } from '../../schema/reconcile/drift.ts';
import { objectKey } from '../../schema/reconcile/object-ref.ts';
import type { ReadObservation } from '../../schema/reconcile/observation.ts';
import type { Operation } from '../../schema/reconcile/operation.ts';
import type { StepOutcome } from '../../schema/reconcile/plan.ts';
import { PlatformTargetSchema } from '../../schema/resources/reconcile-target.ts';
import { pollUntil } from './poll-until.ts';

const { signal } = new AbortController();
let operations = 0;

/** The adapter of the platform, as the loop uses it: look, compare, and do something about one thing under an operation id of its own. */
export const platformTargetPlace = (options: PlatformTargetOptions, watch: PlatformTarget['spec']['watch']) => {
  const port = createPlatformTarget(options);
  const target: PlatformTarget = {
    ...{ org: 'default', project: 'default', name: 'platform', generation: 1 },
    spec: PlatformTargetSchema.parse({ type: 'platform', watch }),
  };
  const look = async (): Promise<{ observation: ReadObservation; drifts: Drift[] }> => {
    const [desired, observation] = await Promise.all([port.desired(target, signal), port.observe(target, signal)]);
    if (observation.status !== 'read') throw new Error(observation.message);
    return { observation, drifts: diffTarget({ target, desired, observation, holds: [], now: 0 }).drifts };
  };
  const contextFor = async (operation: Operation, more: Partial<ApplyContext> = {}): Promise<ApplyContext> => {
    const seen = (await look()).observation.objects.find(({ ref }) => objectKey(ref) === objectKey(operation.object));
    operations += 1;
    return {
      operationId: `fix_${String(operations).padStart(16, '0')}/0`,
      precondition: seen ? { kind: 'version', version: seen.version, hash: seen.hash, uid: seen.uid } : { kind: 'absent' },
      holdsFence: async () => true,
      readState: async () => seen?.state,
      signal,
      ...more,
    };
  };
  return {
    ...{ port, target, look, contextFor },
    /** The drift that has a symptom, once it is seen. */
    driftOf: (code: string, name?: string) =>
      pollUntil(
        async () =>
          (await look()).drifts.find(
            ({ object, symptoms }) => symptoms.some((one) => one.code === code) && (name === undefined || object.name === name),
          ),
        code,
      ),
    /** Waits until nothing has a symptom of this code. */
    without: (code: string) =>
      pollUntil(
        async () => ((await look()).drifts.some(({ symptoms }) => symptoms.some((one) => one.code === code)) ? undefined : true),
        `no ${code}`,
      ),
    dryRun: (operation: Operation) => port.dryRun(target, operation, signal),
    apply: async (operation: Operation, context?: ApplyContext): Promise<StepOutcome> =>
      port.apply(target, operation, context ?? (await contextFor(operation))),
    /** Undoes what was applied, as the loop would. */
    undo: async (operation: Operation, { operationId, readState }: ApplyContext, outcome: StepOutcome): Promise<StepOutcome> => {
      if (outcome.kind !== 'applied') throw new Error(`nothing to undo: ${JSON.stringify(outcome)}`);
      const { version, hash, uid } = outcome;
      const precondition = { kind: 'version' as const, version, hash, uid };
      return port.apply(target, operation, {
        operationId: `${operationId}/undo`,
        readState,
        precondition,
        holdsFence: async () => true,
        signal,
      });
    },
  };
};
export type PlatformTargetPlace = ReturnType<typeof platformTargetPlace>;
