import { createHash, randomUUID } from 'node:crypto';
import { canonicalText } from '../../reconcile/canonical-text.ts';
import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { FieldOwner, Health, Observation, ObservedObject, Symptom } from '../../schema/reconcile/observation.ts';
import type { StepOutcome } from '../../schema/reconcile/plan.ts';

// biome-ignore lint/suspicious/noExplicitAny: states are whatever people declare
export type State = any;
type Stored = {
  ref: ObjectRef;
  uid: string;
  version: number;
  state: State;
  owners: FieldOwner[];
  isOurs: boolean;
  deletingSince: string;
};

export const hashOf = (state: unknown): string => createHash('sha256').update(canonicalText(state)).digest('hex');

/** What a write of the world is asked for; thrown errors are answers that were lost. */
export type WorldFaults = {
  /** Nobody reaches it. */
  isAway?: boolean;
  /** In place of an answer to `observe`. */
  observe?: (() => Observation | undefined) | undefined;
  /** Asked at each moment of an apply; throwing loses the answer: before the effect nothing happened, after it all did. */
  apply?: ((moment: 'before' | 'after', operationId: string) => void | Promise<void>) | undefined;
  /** Changes what anybody writes before it is kept, as a mutating webhook does. */
  admit?: ((ref: ObjectRef, state: State) => void) | undefined;
  /** Refuses a write, in the system's own words. */
  refuse?: ((operationId: string) => Extract<StepOutcome, { kind: 'failed' }> | undefined) | undefined;
};

/**
 * A small system in memory: things with versions and owners, health that follows from their state, and faults on demand. It keeps count of
 * what was done to it, so that a test can say that something happened exactly once.
 */
export const createMemoryWorld = () => {
  const things = new Map<string, Stored>();
  const neighbours = new Map<string, ObservedObject>();
  const done = new Map<string, StepOutcome>();
  const effects: string[] = [];
  const faults: WorldFaults = {};
  const reads = { observe: 0, dryRun: 0 };
  let versions = 0;
  let judge = (_ref: ObjectRef, _state: State): { health: Health; symptoms: Symptom[] } => ({ health: 'healthy', symptoms: [] });

  const show = ({ ref, uid, version, state, owners, isOurs, deletingSince }: Stored): ObservedObject => ({
    ...{ ref, uid, version: String(version), hash: hashOf(state), state: structuredClone(state), owners, isOurs, deletingSince },
    ...judge(ref, state),
  });

  /** Puts a state in place of what is there, as its system would on anybody's word. */
  const put = (ref: ObjectRef, state: State, by: { manager: string; isOurs?: boolean }): Stored => {
    versions += 1;
    const kept = structuredClone(state);
    faults.admit?.(ref, kept);
    const known = things.get(objectKey(ref));
    const stored: Stored = {
      ...{ ref, state: kept, version: versions, uid: known?.uid ?? randomUUID(), deletingSince: '' },
      owners: [...(known?.owners ?? []).filter(({ manager }) => manager !== by.manager), { manager: by.manager, paths: [''] }],
      isOurs: known?.isOurs ?? by.isOurs ?? false,
    };
    things.set(objectKey(ref), stored);
    return stored;
  };

  return {
    ...{ effects, faults, reads, done, neighbours },
    put,
    find: (ref: ObjectRef): ObservedObject | undefined => {
      const stored = things.get(objectKey(ref));
      return stored && show(stored);
    },
    /** A state as it is, without a look at how well it is. */
    stateOf: (ref: ObjectRef): State | undefined => things.get(objectKey(ref))?.state,
    /** Somebody else's hand, past the reconciler. */
    edit: (ref: ObjectRef, change: (state: State) => void, manager = 'person'): void => {
      const stored = things.get(objectKey(ref));
      if (!stored) throw new Error(`there is no ${objectKey(ref)}`);
      const state = structuredClone(stored.state);
      change(state);
      put(ref, state, { manager });
    },
    remove: (ref: ObjectRef): void => void things.delete(objectKey(ref)),
    /** How well a thing is, by its state. */
    judgeBy: (next: typeof judge): void => {
      judge = next;
    },
    list: (): ObservedObject[] => [...things.values()].map(show),
    /** The whole as text, to compare before and after. */
    text: (): string =>
      canonicalText(
        [...things.values()].map(({ ref, state }) => ({ ref, state })).sort((a, b) => (objectKey(a.ref) < objectKey(b.ref) ? -1 : 1)),
      ),
  };
};
export type MemoryWorld = ReturnType<typeof createMemoryWorld>;
