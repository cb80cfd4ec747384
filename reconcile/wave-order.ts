import type { Drift } from '../schema/reconcile/drift.ts';
import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { Desired, ReadObservation } from '../schema/reconcile/observation.ts';
import { valueAt } from './json-pointer.ts';

type ReadDesired = Extract<Desired, { status: 'read' }>;
/** Faults of one wave; `extra` ones of it come after those of all waves. */
export type Wave = { number: number; isPrune: boolean; drifts: Drift[] };

const waveAnnotation = '/metadata/annotations/quarterdeck.dev~1wave';
const waveOfState = (state: unknown): number => Number(valueAt(state, waveAnnotation) ?? 0) || 0;

/** Waves that have drifts, in their order: up for what is declared, then down for what is declared no more. */
export const wavesOf = (drifts: readonly Drift[], desired: ReadDesired, observation: ReadObservation): Wave[] => {
  const declared = new Map(desired.objects.map(({ ref, wave }) => [objectKey(ref), wave]));
  // what is declared no more has its wave where we wrote it
  const seen = new Map(observation.objects.map(({ ref, state }) => [objectKey(ref), waveOfState(state)]));
  const group = (isPrune: boolean): Wave[] => {
    const waves = new Map<number, Drift[]>();
    for (const drift of drifts.filter(({ kind }) => (kind === 'extra') === isPrune)) {
      const key = objectKey(drift.object);
      const number = declared.get(key) ?? seen.get(key) ?? 0;
      waves.set(number, [...(waves.get(number) ?? []), drift]);
    }
    const sorted = [...waves].sort(([one], [other]) => one - other).map(([number, of]) => ({ number, isPrune, drifts: of }));
    return isPrune ? sorted.reverse() : sorted;
  };
  return [...group(false), ...group(true)];
};

/**
 * The first declared thing of an earlier wave that is not there and well, or undefined. A kind without a health of its own (`unknown`) is
 * well by being there.
 */
export const firstUnwell = (before: Pick<Wave, 'number' | 'isPrune'>, desired: ReadDesired, observation: ReadObservation) => {
  const seen = new Map(observation.objects.map((object) => [objectKey(object.ref), object]));
  return desired.objects
    .toSorted((one, other) => one.wave - other.wave)
    .filter(({ wave }) => before.isPrune || wave < before.number)
    .find(({ ref }) => {
      const object = seen.get(objectKey(ref));
      return object === undefined || object.deletingSince !== '' || object.health === 'progressing' || object.health === 'degraded';
    });
};

/** What we made of a higher wave and is declared no more: a lower wave is not deleted before it is gone, whether it is on its way out or waits for people. */
export const firstLeaving = (number: number, desired: ReadDesired, observation: ReadObservation) => {
  const declared = new Set(desired.objects.map(({ ref }) => objectKey(ref)));
  return observation.objects.find(({ ref, isOurs, state }) => isOurs && !declared.has(objectKey(ref)) && waveOfState(state) > number);
};
