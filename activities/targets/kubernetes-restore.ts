import type { KubernetesObject } from './kubernetes-client.ts';
import { differences, type FieldChange } from './kubernetes-difference.ts';
import { escapePointer, pointerParts } from './kubernetes-fields.ts';
import type { Ownership } from './kubernetes-ownership.ts';
import { stateOf } from './kubernetes-state.ts';
import { applyTo, notWritten, type Writing, writingOf } from './kubernetes-write.ts';

/** Carries one field change over to another copy of the same object. */
const carry = (object: KubernetesObject, { path, after }: FieldChange): void => {
  const parts = pointerParts(path);
  const last = parts.pop() as string;
  let at = object;
  for (const part of parts) at = at[part] ??= {};
  if (after !== undefined) at[last] = after;
  else if (Array.isArray(at)) at.splice(Number(last), 1);
  else delete at[last];
};

/** Whole annotations come and go one by one, so that those of the system stay. */
const byMember = (change: FieldChange): FieldChange[] => {
  if (change.path !== '/metadata/annotations') return [change];
  const [before, after] = [change.before ?? {}, change.after ?? {}];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.map((name) => ({
    path: `${change.path}/${escapePointer(name)}`,
    ...(name in before ? { before: before[name] } : {}),
    ...(name in after ? { after: after[name] } : {}),
  }));
};

const notKept = notWritten('invalid', 'the state to go back to is no longer kept');
const isKept = (state: unknown): state is KubernetesObject => typeof state === 'object' && state !== null;

/** An object that we deleted, as it was: applied by us, so that it is known as ours again. */
export const remakeWriting = (keptState: unknown, operationId: string): Writing => {
  if (!isKept(keptState)) return notKept;
  if (keptState.kind === 'Secret') return notWritten('invalid', 'values of a Secret are not kept, so it is not made again');
  return { kind: 'write', write: applyTo(keptState, operationId), changes: [{ path: '', after: keptState }] };
};

/** The object as it was: of what a kept state says, all that differs, save what an autoscaler or a person holds meanwhile. Values of secrets are not kept, and stay. */
export const restoreWriting = (live: KubernetesObject, keptState: unknown, operationId: string, { whyLeft }: Ownership): Writing => {
  if (!isKept(keptState)) return notKept;
  const isOfSecret = (path: string) => live.kind === 'Secret' && /^\/(data|stringData)(\/|$)/.test(path);
  const wanted = structuredClone(live);
  const back = differences(stateOf(live), keptState).flatMap(byMember);
  for (const change of back.toReversed()) {
    const why = whyLeft(change.path);
    if (why !== 'autoscaled' && why !== 'held' && !isOfSecret(change.path)) carry(wanted, change);
  }
  return writingOf(live, wanted, operationId);
};
