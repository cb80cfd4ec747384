import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { Desired, DesiredObject, ObservedObject, ReadObservation } from '../../schema/reconcile/observation.ts';
import type { Hold } from '../field-ownership.ts';
import { valueAt } from '../json-pointer.ts';
import type { TargetOf } from '../target-port.ts';

/** What the checks of one step look things up in. */
export type CheckFacts = {
  target: TargetOf;
  desired: Extract<Desired, { status: 'read' }>;
  observation: ReadObservation;
  holds: readonly Hold[];
  nowMs: number;
  declared: (ref: ObjectRef) => DesiredObject | undefined;
  seen: (ref: ObjectRef) => ObservedObject | undefined;
};
/** A code and a sentence, or undefined where nothing speaks against the step. */
export type Fault = { code: string; message: string } | undefined;

export const checkFacts = (facts: Omit<CheckFacts, 'declared' | 'seen'>): CheckFacts => {
  const declared = new Map(facts.desired.objects.map((object) => [objectKey(object.ref), object]));
  const seen = new Map(facts.observation.objects.map((object) => [objectKey(object.ref), object]));
  return { ...facts, declared: (ref) => declared.get(objectKey(ref)), seen: (ref) => seen.get(objectKey(ref)) };
};

/** The pointer of one container of a workload or pod, in a state, by its name. */
export const containerPointer = (state: unknown, name: string): string | undefined => {
  for (const list of ['/spec/template/spec/containers', '/spec/template/spec/initContainers', '/spec/containers']) {
    const found = valueAt(state, list);
    const index = Array.isArray(found) ? found.findIndex((container) => valueAt(container, '/name') === name) : -1;
    if (index !== -1) return `${list}/${index}`;
  }
  return undefined;
};

/** Names of secrets that a declared state refers to by itself, at any depth. */
export const secretsOf = (state: unknown): string[] => {
  if (Array.isArray(state)) return state.flatMap(secretsOf);
  if (typeof state !== 'object' || state === null) return [];
  return Object.entries(state).flatMap(([name, value]) => {
    if (name === 'imagePullSecrets' && Array.isArray(value)) return value.map((item) => String(valueAt(item, '/name')));
    if (name === 'secretKeyRef' || name === 'secretRef') return [String(valueAt(value, '/name'))];
    if (name === 'secretName' && typeof value === 'string') return [value];
    return secretsOf(value);
  });
};
