import type { KubernetesObject } from './kubernetes-client.ts';
import { escapePointer } from './kubernetes-fields.ts';
import { canonicalText } from './kubernetes-state.ts';

/**
 * Lists whose items are known by keys, as the cluster's own schema marks them; all others are one value. An entry holds for lists of that
 * name wherever they stand, which is so in the built-in kinds.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
const listKeys: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  imagePullSecrets: ['name'],
  volumeMounts: ['mountPath'],
  volumeDevices: ['devicePath'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  hostAliases: ['ip'],
};

const keysOf = (name: string, items: readonly KubernetesObject[]): readonly string[] | undefined => {
  if (name !== 'ports') return listKeys[name];
  if (items.every((item) => item?.containerPort !== undefined)) return ['containerPort', 'protocol'];
  // of a Service; those of a NetworkPolicy are one value
  return items.every((item) => item?.port !== undefined && (item.name !== undefined || item.targetPort !== undefined))
    ? ['port', 'protocol']
    : undefined;
};

const isRecord = (value: unknown): value is Record<string, KubernetesObject> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
const keyText = (item: KubernetesObject, keys: readonly string[]): string =>
  JSON.stringify(keys.map((key) => item?.[key] ?? (key === 'protocol' ? 'TCP' : null)));

export type Merge = {
  /** The live object with each declared field as declared, save those that are left. */
  merged: KubernetesObject;
  /** What is declared of it, for server-side apply: left fields with their live value where we own them already, else not at all. */
  body: KubernetesObject;
  /** Pointers, into `merged`, of the declared fields. */
  pointers: string[];
  /** Pointers of declared fields that differ and are left as they are. */
  left: string[];
};

/**
 * Lays what is declared over what is there.
 * @param isLeft - whether a field stays as it is
 * @param isApplied - whether we have declared the field before: left out, it would be deleted
 */
export const mergeDeclared = (
  live: KubernetesObject,
  declared: KubernetesObject,
  { isLeft, isApplied }: { isLeft: (pointer: string) => boolean; isApplied: (pointer: string) => boolean },
): Merge => {
  const pointers: string[] = [];
  const left: string[] = [];

  const mergeLeaf = (there: KubernetesObject, wanted: KubernetesObject, at: string): [KubernetesObject, KubernetesObject] => {
    pointers.push(at);
    if (!isLeft(at)) return [wanted, wanted];
    if (canonicalText(there) !== canonicalText(wanted)) left.push(at);
    return [there, isApplied(at) ? there : undefined];
  };

  const mergeItems = (there: KubernetesObject[], wanted: KubernetesObject[], keys: readonly string[], at: string) => {
    const merged = [...there];
    const body = wanted.map((item) => {
      const found = there.findIndex((other) => keyText(other, keys) === keyText(item, keys));
      const index = found < 0 ? merged.length : found;
      const [whole, part] = mergeValue(merged[index], item, `${at}/${index}`, '');
      merged[index] = whole;
      return { ...Object.fromEntries(keys.flatMap((key) => (item[key] === undefined ? [] : [[key, item[key]]]))), ...part };
    });
    return [merged, body] as [KubernetesObject, KubernetesObject];
  };

  const mergeValue = (
    there: KubernetesObject,
    wanted: KubernetesObject,
    at: string,
    name: string,
  ): [KubernetesObject, KubernetesObject] => {
    if (isRecord(wanted) && Object.keys(wanted).length > 0) {
      const merged: KubernetesObject = isRecord(there) ? { ...there } : {};
      const body: KubernetesObject = {};
      for (const [member, value] of Object.entries(wanted)) {
        const [whole, part] = mergeValue(merged[member], value, `${at}/${escapePointer(member)}`, member);
        if (whole !== undefined) merged[member] = whole;
        if (part !== undefined) body[member] = part;
      }
      return [merged, body];
    }
    if (!Array.isArray(wanted)) return mergeLeaf(there, wanted, at);
    const before = Array.isArray(there) ? there : [];
    const keys = keysOf(name, wanted);
    if (keys) return mergeItems(before, wanted, keys, at);
    // what a finalizer waits for is never taken from it
    if (name === 'finalizers') return [[...new Set([...before, ...wanted])], wanted];
    return mergeLeaf(there, wanted, at);
  };

  const [merged, body] = mergeValue(live, declared, '', '');
  return { merged, body, pointers, left };
};
