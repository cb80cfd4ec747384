import { isEqualJson, pointerInto, pointerParts, valueAt } from './json-pointer.ts';

/**
 * Something in the pods of a workload that nobody declared. `path` is a pointer into what is seen; `named` says the same with items of lists by
 * their name (`/spec/template/spec/containers/proxy`), which stays the same wherever the item stands.
 */
export type Undeclared = { path: string; named: string; observed: unknown };

/** Where a workload keeps what its pods are like. A pod itself is none: what admission adds to each pod is nobody's drift. */
const podSpecs: Readonly<Record<string, string>> = {
  Deployment: '/spec/template/spec',
  StatefulSet: '/spec/template/spec',
  DaemonSet: '/spec/template/spec',
  ReplicaSet: '/spec/template/spec',
  Job: '/spec/template/spec',
  CronJob: '/spec/jobTemplate/spec/template/spec',
};

/** What items are known by in lists that the API server merges by it; a mount has a name too, which is its volume's. */
const itemKeys = ['mountPath', 'devicePath', 'name'] as const;
const containerLists = ['initContainers', 'containers', 'ephemeralContainers'];
const podLists = [...containerLists, 'volumes'];
const listsOfContainer = ['env', 'volumeMounts', 'volumeDevices'];

type Field = { at: string; isOpen: (value: unknown) => boolean };
const is =
  (...values: unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);
const isSomething = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null);

/**
 * Fields that nobody but a person or a client sets, with the values by which more is run or allowed than without them. What the API server and
 * its controllers write themselves (defaults such as `dnsPolicy`, `serviceAccount` beside `serviceAccountName`, an empty `securityContext`, a
 * `hostPort` beside `hostNetwork`) is not among them.
 */
const loosening = ['securityContext/seccompProfile/type', 'securityContext/appArmorProfile/type'].map(
  (at): Field => ({ at: `/${at}`, isOpen: is('Unconfined') }),
);
const ofBoth: readonly Field[] = [
  ...loosening,
  { at: '/securityContext/runAsUser', isOpen: is(0) },
  { at: '/securityContext/runAsNonRoot', isOpen: is(false) },
  { at: '/securityContext/windowsOptions/hostProcess', isOpen: is(true) },
];
const ofPod: readonly Field[] = [
  ...ofBoth,
  ...['hostNetwork', 'hostPID', 'hostIPC', 'shareProcessNamespace'].map((name): Field => ({ at: `/${name}`, isOpen: is(true) })),
  { at: '/serviceAccountName', isOpen: (value) => isSomething(value) && value !== '' && value !== 'default' },
  { at: '/securityContext/sysctls', isOpen: isSomething },
];
const ofContainer: readonly Field[] = [
  ...ofBoth,
  ...['command', 'args', 'lifecycle', 'envFrom'].map((name): Field => ({ at: `/${name}`, isOpen: isSomething })),
  { at: '/securityContext/privileged', isOpen: is(true) },
  { at: '/securityContext/procMount', isOpen: is('Unmasked') },
  { at: '/securityContext/capabilities/add', isOpen: isSomething },
];

const listAt = (state: unknown, pointer: string): unknown[] => {
  const found = valueAt(state, pointer);
  return Array.isArray(found) ? found : [];
};
const keyOf = (item: unknown): string | undefined => {
  const found = itemKeys.map((name) => valueAt(item, `/${name}`)).find((value) => typeof value === 'string');
  return found as string | undefined;
};

type Side = { declared: unknown; observed: unknown; path: string; named: string };

const openFields = ({ declared, observed, path, named }: Side, fields: readonly Field[]): Undeclared[] =>
  fields.flatMap(({ at, isOpen }) => {
    const value = valueAt(observed, at);
    const isSaid = valueAt(declared, at) !== undefined; // then it is compared as any declared field
    return isSaid || !isOpen(value) ? [] : [{ path: `${path}${at}`, named: `${named}${at}`, observed: value }];
  });

/** Items of a list on both sides, by what they are known by. */
const itemsOf = ({ declared, observed, path, named }: Side, list: string) => {
  const wanted = listAt(declared, `/${list}`);
  return listAt(observed, `/${list}`).map((item, index): Omit<Side, 'declared'> & { declared: unknown } => {
    const key = keyOf(item);
    return {
      declared: wanted.find((one) => (key === undefined ? isEqualJson(one, item) : keyOf(one) === key)),
      observed: item,
      path: pointerInto(`${path}/${list}`, index),
      named: pointerInto(`${named}/${list}`, key ?? index),
    };
  });
};

const addedItems = (side: Side, lists: readonly string[]): Undeclared[] =>
  lists.flatMap((list) =>
    itemsOf(side, list).flatMap(({ declared, path, named, observed }) => (declared === undefined ? [{ path, named, observed }] : [])),
  );

/**
 * What the pods of a workload have that its declaration does not say: containers, volumes, variables and mounts of declared containers, what is
 * run in them, and rights that are off unless somebody says otherwise. Of a declaration that names no container nothing is said.
 * @param kind - of the workload; any other has nothing of the sort
 */
export const findUndeclared = (kind: string, declaredState: unknown, observedState: unknown): Undeclared[] => {
  const at = Object.hasOwn(podSpecs, kind) ? podSpecs[kind] : undefined;
  if (at === undefined || listAt(declaredState, `${at}/containers`).length === 0) return [];
  const pod: Side = { declared: valueAt(declaredState, at), observed: valueAt(observedState, at), path: at, named: at };
  const declaredContainers = containerLists.flatMap((list) => itemsOf(pod, list)).filter(({ declared }) => declared !== undefined);
  return [
    ...addedItems(pod, podLists),
    ...openFields(pod, ofPod),
    ...declaredContainers.flatMap((container) => [...addedItems(container, listsOfContainer), ...openFields(container, ofContainer)]),
  ];
};

/** The pointer into a state that a named one says, or undefined where no such thing is. */
export const pointerOfNamed = (state: unknown, named: string): string | undefined => {
  let [at, path] = [state, ''];
  for (const part of pointerParts(named)) {
    const found = Array.isArray(at) ? at.findIndex((item, index) => (keyOf(item) ?? String(index)) === part) : part;
    if (found === -1) return undefined;
    path = pointerInto(path, found);
    at = valueAt(at, pointerInto('', found));
    if (at === undefined) return undefined;
  }
  return path;
};
