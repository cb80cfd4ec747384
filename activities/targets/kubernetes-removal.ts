import { pointerOfNamed } from '../../reconcile/find-undeclared.ts';
import { pointerParts, valueAt } from '../../reconcile/json-pointer.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import type { FieldChange } from './kubernetes-difference.ts';
import type { Ownership } from './kubernetes-ownership.ts';
import { notWritten, patchOf, type Writing } from './kubernetes-write.ts';

/** The later item of a list first, so that the places of those before it stay. */
const lastFirst = (one: string, other: string): number => {
  const [left, right] = [pointerParts(one), pointerParts(other)];
  const at = left.findIndex((part, index) => part !== right[index]);
  const [first = '', second = ''] = [left[at], right[at]];
  const inNumbers = Number(second) - Number(first);
  return Number.isNaN(inNumbers) ? second.localeCompare(first) : inNumbers;
};

/** The API server keeps an older field equal to this one, and would fill the one from the other again. */
const withMirror = (path: string): string[] => (path.endsWith('/serviceAccountName') ? [path, path.replace(/Name$/, '')] : [path]);

/**
 * Takes away exactly the things that are named, whoever wrote them, on exactly the version that was looked at. What people hold or let be in the
 * meantime stays, and then nothing is taken away.
 * @param named - pointers with items of lists by their name
 */
export const removalWriting = (live: KubernetesObject, named: readonly string[], operationId: string, { whyLeft }: Ownership): Writing => {
  const paths = named.flatMap(withMirror).flatMap((name) => pointerOfNamed(live, name) ?? []);
  const left = [...paths, ...named].find((path) => ['held', 'ignored'].includes(whyLeft(path) ?? ''));
  if (left !== undefined) return notWritten('conflict', `${left} is ${whyLeft(left)}, and not ours to take away`);
  if (paths.length === 0) return { kind: 'nothing' };
  const changes = paths.toSorted(lastFirst).map((path): FieldChange => ({ path, before: valueAt(live, path) }));
  return { kind: 'write', write: patchOf(live, changes, operationId), changes };
};
