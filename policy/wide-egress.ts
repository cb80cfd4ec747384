import { isIPv4, isIPv6 } from 'node:net';
import type { ProposableOperation } from '../schema/reconcile/operation.ts';

type Egress = Extract<ProposableOperation, { op: 'addEgressRule' }>['to'];

/** A way out to one network of 256 addresses, or of one subnet (IPv6): anything wider lets more out than one upstream needs. */
const widestIpv4Prefix = 24;
const widestIpv6Prefix = 64;
/** Where clouds hand out credentials to whoever asks (RFC 3927, RFC 4193 addresses of the same use). */
const metadataAddresses = /^(169\.254\.|168\.63\.129\.|100\.100\.100\.|127\.|0\.|fd00:0?ec2:|fd20:0{0,2}ce:|fe80:|2002:|64:ff9b:|::)/i;

/** Whether a rule opens a way to more than one narrow place, or to where credentials are handed out. A CIDR that cannot be read is wide. */
export const isWideEgress = (to: Egress): boolean => {
  if (!('cidr' in to)) return Object.keys(to.namespaceLabels).length === 0;
  const [address = '', prefixText, ...rest] = to.cidr.split('/');
  const prefix = /^\d{1,3}$/.test(prefixText ?? '') ? Number(prefixText) : -1;
  if (rest.length > 0 || metadataAddresses.test(address)) return true;
  if (isIPv4(address)) return prefix < widestIpv4Prefix || prefix > 32;
  return !isIPv6(address) || prefix < widestIpv6Prefix || prefix > 128;
};
