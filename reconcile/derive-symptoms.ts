import type { ObservedObject, Symptom } from '../schema/reconcile/observation.ts';
import { valueAt } from './json-pointer.ts';

const annotationOf = (state: unknown, name: string): unknown =>
  valueAt(state, `/metadata/annotations/quarterdeck.dev~1${name}`) ??
  valueAt(state, `/spec/template/metadata/annotations/quarterdeck.dev~1${name}`);

/**
 * What is wrong with a thing that says itself to be well, by what is written in it. `SessionsSplit`: a server over stdio
 * (`quarterdeck.dev/transport: stdio`) keeps its sessions in its process, and runs more than once without a store for them
 * (`quarterdeck.dev/session-store`).
 */
export const deriveSymptoms = ({ ref, state }: ObservedObject): Symptom[] => {
  const replicas = valueAt(state, '/spec/replicas');
  const isStdio = ['Deployment', 'StatefulSet'].includes(ref.kind) && annotationOf(state, 'transport') === 'stdio';
  return isStdio && typeof replicas === 'number' && replicas > 1 && annotationOf(state, 'session-store') === undefined
    ? [{ code: 'SessionsSplit', message: `${replicas} replicas, each with sessions of its own.`, count: 1 }]
    : [];
};
