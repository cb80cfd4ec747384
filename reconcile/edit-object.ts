import type { KubernetesOperation, ProposableOperation } from '../schema/reconcile/operation.ts';
import { isEqualJson, pointerParts } from './json-pointer.ts';

/** As the API server sends it: its schema is the server's, and changes with it. */
// biome-ignore lint/suspicious/noExplicitAny: a manifest has no type of ours
type KubernetesObject = any;

/** Operations that change fields of an object of a cluster that is there. */
export type EditOperation = Extract<
  KubernetesOperation,
  { op: 'setImage' | 'patchField' | 'scale' | 'restart' | 'setResources' | 'setProbe' | 'setSecretKey' | 'addEgressRule' | 'addRoleRule' }
>;
const edits: ReadonlySet<string> = new Set([
  ...['setImage', 'patchField', 'scale', 'restart', 'setResources', 'setProbe', 'setSecretKey', 'addEgressRule', 'addRoleRule'],
]);
export const isEdit = (operation: ProposableOperation): operation is EditOperation => edits.has(operation.op);
export type Edit = { ok: true; wanted: KubernetesObject } | { ok: false; message: string };

/** Says which operation restarted the pods last; the same one does not do so twice. */
export const restartedByAnnotation = 'quarterdeck.dev/restarted-by';

const unfit = (message: string): Edit => ({ ok: false, message });

const podSpecOf = (object: KubernetesObject): KubernetesObject => {
  if (object.kind === 'Pod') return object.spec;
  if (object.kind === 'CronJob') return object.spec?.jobTemplate?.spec?.template?.spec;
  return object.spec?.template?.spec;
};

const editContainer = (object: KubernetesObject, name: string, edit: (container: KubernetesObject) => string | undefined): Edit => {
  const pods = podSpecOf(object);
  const container = [...(pods?.containers ?? []), ...(pods?.initContainers ?? [])].find((one) => one.name === name);
  if (!container) return unfit(`it has no container \`${name}\``);
  const fault = edit(container);
  return fault ? unfit(fault) : { ok: true, wanted: object };
};

/** Fields of which no operation makes a value: who an object is, what its system writes, and what others wait for. */
const closed = /^\/(apiVersion|kind|status|metadata\/(?!labels\/|annotations\/))/;

const setField = (object: KubernetesObject, path: string, value: unknown): Edit => {
  if (closed.test(path) || !/^\/[^/]+\//.test(path)) return unfit(`\`${path}\` is no field that may be set`);
  const parts = pointerParts(path);
  if (parts.some((part) => ['__proto__', 'constructor', 'prototype'].includes(part))) return unfit(`\`${path}\` is no field of a manifest`);
  const last = parts.pop() as string;
  let at = object;
  for (const part of parts) {
    if (Array.isArray(at) && !(Number(part) < at.length)) return unfit(`there is no item ${part} on the way to \`${path}\``);
    if (at[part] === undefined) at[part] = {};
    at = at[part];
    if (at === null || typeof at !== 'object') return unfit(`\`${path}\` leads through a value that holds no fields`);
  }
  if (Array.isArray(at) && !(Number(last) <= at.length)) return unfit(`there is no item ${last} at \`${path}\``);
  at[last] = value;
  return { ok: true, wanted: object };
};

const setProbe = (container: KubernetesObject, { probe, port, path }: Extract<EditOperation, { op: 'setProbe' }>): string | undefined => {
  const name = `${probe}Probe`;
  const before = container[name] ?? {};
  if (before.exec || before.grpc) return `its ${probe} probe runs a command or speaks gRPC; only one of HTTP or TCP is set`;
  const { httpGet, tcpSocket: _, ...timing } = before;
  const byHttp = path !== undefined || httpGet !== undefined;
  container[name] = byHttp
    ? { ...timing, httpGet: { path: '/', ...httpGet, port, ...(path ? { path } : {}) } }
    : { ...timing, tcpSocket: { port } };
  return undefined;
};

const setSecretKey = (
  container: KubernetesObject,
  { variable, secret, key }: Extract<EditOperation, { op: 'setSecretKey' }>,
): undefined => {
  container.env ??= [];
  const found = container.env.find(({ name }: KubernetesObject) => name === variable);
  const from = { name: variable, valueFrom: { secretKeyRef: { name: secret, key } } };
  if (found) {
    delete found.value;
    found.valueFrom = from.valueFrom;
  } else container.env.push(from);
};

/** With a rule more, or as it is where the rule is there: done twice is done once. */
const withItem = (list: KubernetesObject[] = [], item: KubernetesObject): KubernetesObject[] =>
  list.some((one) => isEqualJson(one, item)) ? list : [...list, item];

const addEgressRule = (object: KubernetesObject, { to, ports }: Extract<EditOperation, { op: 'addEgressRule' }>): Edit => {
  if (object.kind !== 'NetworkPolicy') return unfit('only a NetworkPolicy has egress rules');
  const peer =
    'cidr' in to
      ? { ipBlock: { cidr: to.cidr } }
      : {
          namespaceSelector: { matchLabels: to.namespaceLabels },
          ...(to.podLabels ? { podSelector: { matchLabels: to.podLabels } } : {}),
        };
  object.spec.egress = withItem(object.spec.egress, { to: [peer], ports: ports.map(({ port, protocol }) => ({ protocol, port })) });
  return { ok: true, wanted: object };
};

const addRoleRule = (object: KubernetesObject, operation: Extract<EditOperation, { op: 'addRoleRule' }>): Edit => {
  if (object.kind !== 'Role') return unfit('only a Role has rules');
  const { apiGroup, resources, verbs, resourceNames } = operation;
  object.rules = withItem(object.rules, { apiGroups: [apiGroup], resources, verbs, ...(resourceNames ? { resourceNames } : {}) });
  return { ok: true, wanted: object };
};

/** The object as an operation would have it. @param operationId - by which a restart is known */
export const editObject = (live: KubernetesObject, operation: EditOperation, operationId: string): Edit => {
  const object = structuredClone(live);
  switch (operation.op) {
    case 'setImage':
      return editContainer(object, operation.container, (container) => {
        container.image = operation.image;
        return undefined;
      });
    case 'patchField':
      return setField(object, operation.path, operation.value);
    case 'scale':
      return object.spec?.replicas === undefined && !['Deployment', 'StatefulSet', 'ReplicaSet'].includes(object.kind)
        ? unfit('it has no replicas')
        : setField(object, '/spec/replicas', operation.replicas);
    case 'restart':
      return object.spec?.template
        ? setField(object, `/spec/template/metadata/annotations/${restartedByAnnotation.replace('/', '~1')}`, operationId)
        : unfit('it has no pods of its own that could be made anew');
    case 'setResources':
      return editContainer(object, operation.container, (container) => {
        const { memoryLimit: memory, cpuLimit: cpu } = operation;
        container.resources ??= {};
        container.resources.limits = { ...container.resources.limits, ...(memory ? { memory } : {}), ...(cpu ? { cpu } : {}) };
        return undefined;
      });
    case 'setProbe':
      return editContainer(object, operation.container, (container) => setProbe(container, operation));
    case 'setSecretKey':
      return editContainer(object, operation.container, (container) => setSecretKey(container, operation));
    case 'addEgressRule':
      return addEgressRule(object, operation);
    case 'addRoleRule':
      return addRoleRule(object, operation);
  }
};
