import type { FieldOwner } from '../../schema/reconcile/observation.ts';
import type { KubernetesObject } from './kubernetes-client.ts';

/** A set of fields as `managedFields` says it: `f:` a member, `k:` an item by its keys, `v:` an item by its value, `i:` by its place, `.` the thing itself. */
export type FieldSet = { [key: string]: FieldSet };

export const escapePointer = (part: string | number): string => String(part).replaceAll('~', '~0').replaceAll('/', '~1');
export const pointerParts = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

const isEqual = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** Where in `state` the thing is that one key of a field set names; undefined where it is not there. */
const locate = (key: string, state: KubernetesObject): string | number | undefined => {
  const what = key.slice(2);
  if (key.startsWith('f:')) return state !== null && typeof state === 'object' && Object.hasOwn(state, what) ? what : undefined;
  if (!Array.isArray(state)) return undefined;
  if (key.startsWith('i:')) return Number(what) < state.length ? Number(what) : undefined;
  const wanted = JSON.parse(what);
  const index = state.findIndex((item) =>
    key.startsWith('v:') ? isEqual(item, wanted) : Object.entries(wanted).every(([name, value]) => isEqual(item?.[name], value)),
  );
  return index < 0 ? undefined : index;
};

const childrenOf = (fields: FieldSet): string[] => Object.keys(fields).filter((key) => key !== '.');

/** JSON pointers, into `state`, of the fields that a set names. */
export const pointersOf = (fields: FieldSet, state: KubernetesObject, at = ''): string[] =>
  childrenOf(fields).flatMap((key) => {
    const part = locate(key, state);
    if (part === undefined) return [];
    const pointer = `${at}/${escapePointer(part)}`;
    const inner = fields[key] as FieldSet;
    return childrenOf(inner).length === 0 ? [pointer] : pointersOf(inner, state[part], pointer);
  });

/** Of `state` only the fields that a set names, and of an item also the keys that it is known by. Items keep their order. */
export const projectOnto = (fields: FieldSet, state: KubernetesObject): KubernetesObject => {
  const places = childrenOf(fields).flatMap((key) => {
    const part = locate(key, state);
    return part === undefined ? [] : [{ part, inner: fields[key] as FieldSet, keys: key.startsWith('k:') ? JSON.parse(key.slice(2)) : {} }];
  });
  const value = ({ part, inner, keys }: (typeof places)[number]) => {
    if (childrenOf(inner).length === 0) return state[part];
    const projected = projectOnto(inner, state[part]);
    return Array.isArray(projected) ? projected : { ...keys, ...projected };
  };
  if (Array.isArray(state)) return places.toSorted((one, other) => Number(one.part) - Number(other.part)).map(value);
  return Object.fromEntries(places.map((place) => [place.part, value(place)]));
};

/** Who owns which fields of a live object; `state` is the object as it is shown. */
export const ownersOf = (object: KubernetesObject, state: KubernetesObject): FieldOwner[] =>
  (object.metadata?.managedFields ?? []).flatMap(({ manager, operation, subresource, fieldsV1 }: KubernetesObject) => {
    const paths = pointersOf(fieldsV1 ?? {}, state);
    if (paths.length === 0) return [];
    return [
      { manager: String(manager), operation: operation === 'Apply' ? 'Apply' : 'Update', ...(subresource ? { subresource } : {}), paths },
    ];
  });

/** What one manager has declared by server-side apply, as a set; empty where it has not. */
export const appliedBy = (object: KubernetesObject, name: string): FieldSet =>
  object.metadata?.managedFields?.find(
    ({ manager, operation, subresource }: KubernetesObject) => manager === name && operation === 'Apply' && !subresource,
  )?.fieldsV1 ?? {};

/** Whether one pointer is the other, or lies in it, or around it. `*` in `pattern` stands for any one part. */
export const touches = (pattern: string, pointer: string): boolean => {
  const [one, other] = [pointerParts(pattern), pointerParts(pointer)];
  return one.slice(0, other.length).every((part, index) => part === '*' || part === other[index]);
};
