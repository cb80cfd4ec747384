import type { TargetOf, TargetPort } from '../../reconcile/target-port.ts';
import type { Desired, Observation } from '../../schema/reconcile/observation.ts';
import type { TargetType } from '../../schema/resources/reconcile-target.ts';
import { beforeAbort } from './before-abort.ts';

/** Adapters to look with, by kind of target. */
type LookingPorts = { of: (type: TargetType) => Pick<TargetPort, 'desired' | 'observe'> | undefined };
export type Seen = { desired: Desired; observation: Observation };

/** Longer than this a system that does not answer is one that cannot be read. */
const usuallyWithinMs = 60_000;

/**
 * What was declared and what is there. A system that is slow, or of a kind that no adapter reads, is unknown.
 * @param options.withinMs - how long it may take
 * @throws what `signal` is aborted with, and what is a fault of ours
 */
export const seeTarget = async (
  { ports, clock, withinMs = usuallyWithinMs }: { ports: LookingPorts; clock: () => Date; withinMs?: number },
  target: TargetOf,
  signal?: AbortSignal,
): Promise<Seen> => {
  const unknown = (message: string): Seen => ({
    desired: { status: 'unreadable', message },
    observation: { status: 'unknown', at: clock().toISOString(), reason: 'unreachable', message },
  });
  const port = ports.of(target.spec.type);
  if (!port)
    return unknown(
      `Targets of the kind \`${target.spec.type}\` cannot be looked at from this process; what was seen last is in its status.`,
    );
  const late = AbortSignal.timeout(withinMs);
  const within = signal ? AbortSignal.any([signal, late]) : late;
  try {
    const [desired, observation] = await beforeAbort(Promise.all([port.desired(target, within), port.observe(target, within)]), within);
    return { desired, observation };
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) return unknown(`It did not answer within ${withinMs / 1000} seconds.`);
    throw error;
  }
};

/** Why nothing is said of a target; undefined where it can be read. */
export const whyUnknown = ({ desired, observation }: Seen): string | undefined => {
  if (observation.status !== 'read') return `${observation.reason}: ${observation.message}`;
  return desired.status === 'read' ? undefined : `What was declared cannot be read: ${desired.message}`;
};
