import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { parseAddress } from '../../schema/network-address.ts';
import { der } from './der.ts';

/** A certificate and its key, both PEM. */
export type Certified = { certificate: string; key: string };

const object = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

const hourMs = 3_600_000;
const authorityYears = 10;
const leafDays = 7;
const authorityName = 'Quarterdeck egress of this installation';

const algorithm = der.sequence(der.object(object.ecdsaWithSha256));
const nameOf = (text: string): Buffer => der.sequence(der.set(der.sequence(der.object(object.commonName), der.text(text))));
const extension = (id: string, isCritical: boolean, content: Buffer): Buffer =>
  der.sequence(der.object(id), ...(isCritical ? [der.boolean(true)] : []), der.bytes(content));

const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ format: 'der', type: 'spki' });
/** Names a key by a digest of it; which digest is free (RFC 5280 §4.2.1.2). */
const keyIdOf = (key: KeyObject): Buffer => createHash('sha256').update(spkiOf(key)).digest().subarray(0, 20);

const sealed = ({
  subject,
  subjectKey,
  signingKey,
  from,
  to,
  extensions,
}: {
  subject: string;
  subjectKey: KeyObject;
  signingKey: KeyObject;
  from: Date;
  to: Date;
  extensions: Buffer[];
}): string => {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and of one length
  const body = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))), // version 3
    der.integer(serial),
    algorithm,
    nameOf(authorityName),
    der.sequence(der.time(from), der.time(to)),
    nameOf(subject),
    spkiOf(subjectKey),
    der.explicit(3, der.sequence(extension(object.subjectKey, false, der.bytes(keyIdOf(subjectKey))), ...extensions)),
  );
  const whole = der.sequence(body, algorithm, der.bits(sign('sha256', body, signingKey)));
  const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
};

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const pemOf = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();

/**
 * Makes the authority of an installation: cages trust it, and nobody else does. Whoever has its key can read what caged servers of this
 * installation send to hosts with a secret, so it is kept as its other keys are.
 */
export const makeAuthority = (now: Date): Certified => {
  const key = newKey();
  const to = new Date(now);
  to.setUTCFullYear(now.getUTCFullYear() + authorityYears);
  const extensions = [
    extension(object.basicConstraints, true, der.sequence(der.boolean(true), der.integer(Buffer.from([0])))),
    extension(object.keyUsage, true, der.bits(Buffer.from([0x06]), 1)), // signs certificates and revocation lists
  ];
  const times = { from: new Date(now.getTime() - hourMs), to };
  return { certificate: sealed({ subject: authorityName, subjectKey: key, signingKey: key, ...times, extensions }), key: pemOf(key) };
};

/** Makes a certificate for one host, valid for a week. @param host - a name, or an address without brackets */
export const makeHostCertificate = (authority: Certified, host: string, now: Date): Certified => {
  const signingKey = createPrivateKey(authority.key);
  const key = newKey();
  const address = parseAddress(host);
  const name = address === undefined ? der.implicit(2, Buffer.from(host)) : der.implicit(7, Buffer.from(address));
  const extensions = [
    extension(object.authorityKey, false, der.sequence(der.implicit(0, keyIdOf(signingKey)))),
    extension(object.basicConstraints, true, der.sequence()),
    extension(object.keyUsage, true, der.bits(Buffer.from([0x80]), 7)), // signs handshakes
    extension(object.extendedKeyUsage, false, der.sequence(der.object(object.serverAuth))),
    extension(object.alternativeName, false, der.sequence(name)),
  ];
  const times = { from: new Date(now.getTime() - hourMs), to: new Date(now.getTime() + leafDays * 24 * hourMs) };
  // a common name has 64 characters at most; the alternative name is what counts
  const subject = host.slice(0, 64);
  return { certificate: sealed({ subject, subjectKey: key, signingKey, ...times, extensions }), key: pemOf(key) };
};
