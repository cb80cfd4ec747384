import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { CheckFacts, Fault } from './check-facts.ts';

type Of<Op extends ProposableOperation['op']> = Extract<ProposableOperation, { op: Op }>;

/** The eight groups of an IPv6 address as numbers, or undefined where it is none; dotted endings are not taken. */
const groupsOf = (address: string): number[] | undefined => {
  const [head = '', tail, ...more] = address.split('::');
  if (more.length > 0) return undefined;
  const read = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [read(head), tail === undefined ? [] : read(tail)];
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array.from({ length: tail === undefined ? 0 : missing }, () => '0'), ...right];
  return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? groups.map((group) => Number.parseInt(group, 16)) : undefined;
};

/** Itself, its link, many at once, embedded IPv4, and where a cloud hands out credentials of the machine. */
const isGuardedIpv6 = ([first = 0, second = 0]: readonly number[]): boolean =>
  first === 0 ||
  (first & 0xff_c0) === 0xfe_80 ||
  (first & 0xff_00) === 0xff_00 ||
  (first === 0xfd_00 && second === 0x0e_c2) ||
  (first === 0xfd_20 && second === 0xce) ||
  first === 0x64 ||
  first === 0x20_02;
const isGuardedIpv4 = ([first = 0, second = 0, third = 0]: readonly number[]): boolean =>
  first === 0 ||
  first === 127 ||
  first >= 224 ||
  (first === 169 && second === 254) ||
  (first === 100 && second === 100 && third === 100) ||
  (first === 168 && second === 63 && third === 129);

/** At most 256 addresses of IPv4 and one network (/64) of IPv6; never what answers with credentials of the machine. */
const isNarrow = (cidr: string): boolean => {
  const [address, bits, rest] = cidr.split('/');
  if (address === undefined || bits === undefined || rest !== undefined || !/^\d{1,3}$/.test(bits)) return false;
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  if (four !== undefined) return four.every((part) => part <= 255) && Number(bits) >= 24 && Number(bits) <= 32 && !isGuardedIpv4(four);
  const eight = groupsOf(address);
  return eight !== undefined && Number(bits) >= 64 && Number(bits) <= 128 && !isGuardedIpv6(eight);
};

/** The label that a cluster itself puts on each namespace: one namespace and no other has it. */
const namespaceLabel = 'kubernetes.io/metadata.name';

/** One namespace by its name; of somebody else's only pods that are named by a label. */
const isOneNamespace = (
  to: Extract<Of<'addEgressRule'>['to'], { namespaceLabels: unknown }>,
  { target: { spec } }: CheckFacts,
): boolean => {
  const name = to.namespaceLabels[namespaceLabel];
  if (name === undefined || name === '') return false;
  const isOwn = spec.type === 'kubernetes' && [spec.namespace, ...spec.namespaces].includes(name);
  return isOwn || Object.keys(to.podLabels ?? {}).length > 0;
};

export const checkEgress = ({ object, to }: Of<'addEgressRule'>, facts: CheckFacts): Fault => {
  if (object.kind !== 'NetworkPolicy')
    return { code: 'wrong_kind', message: `An egress rule belongs to a NetworkPolicy, not to a ${object.kind}.` };
  const isWide = 'cidr' in to ? !isNarrow(to.cidr) : !isOneNamespace(to, facts);
  return isWide
    ? {
        code: 'wide_egress',
        message: `The rule opens more than 256 addresses, more than one namespace (name it by \`${namespaceLabel}\`, and another's pods by a label), or the metadata of the machine.`,
      }
    : undefined;
};

const harmlessVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch', 'create', 'update', 'patch']);
const readVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
/** Who may write these, may run code, become somebody else, or have what is meant for others. */
const powerful =
  /^(\*|secrets|nodes|namespaces|serviceaccounts|pods|podtemplates|roles|rolebindings|deployments|daemonsets|statefulsets|controllerrevisions|jobs|cronjobs|replicasets|replicationcontrollers|endpoints|endpointslices|services|ingresses|networkpolicies|persistentvolumes)(\/|$)|\/(exec|attach|portforward|token|proxy|ephemeralcontainers|\*)$/;
/** Groups of Kubernetes itself. Of what others add nobody here knows what it does: many a resource runs whatever is written into it. */
const knownGroups: ReadonlySet<string> = new Set([
  ...['', 'apps', 'batch', 'autoscaling', 'policy', 'coordination.k8s.io', 'events.k8s.io', 'discovery.k8s.io', 'networking.k8s.io'],
]);
const guardedGroups = /^\*$|rbac\.authorization|admissionregistration|certificates|apiextensions|authentication|apiregistration/;

export const checkRole = ({ object, apiGroup, resources, verbs, resourceNames }: Of<'addRoleRule'>): Fault => {
  const wide = (message: string): Fault => ({ code: 'wide_rights', message });
  if (object.kind !== 'Role') return wide(`Rights are added to a Role only, not to a ${object.kind}.`);
  if (guardedGroups.test(apiGroup)) return wide(`${apiGroup} decides about rights itself.`);
  const verb = verbs.find((one) => !harmlessVerbs.has(one));
  if (verb !== undefined) return wide(`The verb ${verb} is never granted by a fix.`);
  if (resources.some((one) => one === 'secrets' || one.includes('*') || one.includes('/')))
    return wide('Secrets, subresources and wildcards are never granted by a fix.');
  if (resourceNames?.length === 0) return wide('A list of no names stands for every name.');
  if (verbs.every((one) => readVerbs.has(one))) return undefined;
  if (!knownGroups.has(apiGroup))
    return wide(`What is written into things of ${apiGroup} may be run; only reading them is granted by a fix.`);
  return resources.some((one) => powerful.test(one)) ? wide('Who writes these runs code or becomes somebody else.') : undefined;
};
