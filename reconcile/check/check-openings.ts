import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import type { Fault } from './check-facts.ts';

type Of<Op extends ProposableOperation['op']> = Extract<ProposableOperation, { op: Op }>;

/** At most 256 addresses of IPv4 and one network (/64) of IPv6; never what answers with credentials of the machine. */
const isNarrow = (cidr: string): boolean => {
  const [address, bits, rest] = cidr.split('/');
  if (address === undefined || bits === undefined || rest !== undefined || !/^\d{1,3}$/.test(bits)) return false;
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address)?.slice(1).map(Number);
  if (four !== undefined)
    return (
      four.every((part) => part <= 255) &&
      Number(bits) >= 24 &&
      Number(bits) <= 32 &&
      !(four[0] === 169 && four[1] === 254) &&
      four[0] !== 0 &&
      four[0] !== 127
    );
  return (
    /^[0-9a-f:]+$/i.test(address) &&
    address.includes(':') &&
    Number(bits) >= 64 &&
    Number(bits) <= 128 &&
    !/^(fe80|::|fd00:ec2)/i.test(address)
  );
};

export const checkEgress = ({ object, to }: Of<'addEgressRule'>): Fault => {
  if (object.kind !== 'NetworkPolicy')
    return { code: 'wrong_kind', message: `An egress rule belongs to a NetworkPolicy, not to a ${object.kind}.` };
  const isWide = 'cidr' in to ? !isNarrow(to.cidr) : Object.keys(to.namespaceLabels).length === 0;
  return isWide
    ? { code: 'wide_egress', message: 'The rule opens more than 256 addresses, all namespaces, or the metadata of the machine.' }
    : undefined;
};

const harmlessVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch', 'create', 'update', 'patch']);
const readVerbs: ReadonlySet<string> = new Set(['get', 'list', 'watch']);
/** Who may write these, may run code or become somebody else. */
const powerful =
  /^(\*|secrets|nodes|namespaces|serviceaccounts|pods|roles|rolebindings|deployments|daemonsets|statefulsets|jobs|cronjobs|replicasets)(\/|$)|\/(exec|attach|portforward|token|proxy|ephemeralcontainers|\*)$/;
const guardedGroups = /^\*$|rbac\.authorization|admissionregistration|certificates|apiextensions|authentication|apiregistration/;

export const checkRole = ({ object, apiGroup, resources, verbs }: Of<'addRoleRule'>): Fault => {
  const wide = (message: string): Fault => ({ code: 'wide_rights', message });
  if (object.kind !== 'Role') return wide(`Rights are added to a Role only, not to a ${object.kind}.`);
  if (guardedGroups.test(apiGroup)) return wide(`${apiGroup} decides about rights itself.`);
  const verb = verbs.find((one) => !harmlessVerbs.has(one));
  if (verb !== undefined) return wide(`The verb ${verb} is never granted by a fix.`);
  if (resources.some((one) => one === 'secrets' || one.includes('*') || one.includes('/')))
    return wide('Secrets, subresources and wildcards are never granted by a fix.');
  return verbs.some((one) => !readVerbs.has(one)) && resources.some((one) => powerful.test(one))
    ? wide('Who writes these runs code or becomes somebody else.')
    : undefined;
};
