import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';

/** What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 §7). */
const privateKeyPrefix = Buffer.from('302e020100300506032b657004220420', 'hex');

const shortestSecret = 32;

/**
 * The key that published policies are signed with, made from a secret that the api has, and neither gateway nor worker.
 * @throws {PlatformError} `secret_unavailable`
 */
const signingKey = (secret: string): KeyObject => {
  if (secret.length < shortestSecret)
    throw new PlatformError(
      'secret_unavailable',
      'The secret that policies are signed with is too short; restore the key files from their backup.',
    );
  const seed = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'quarterdeck/policies/signature', 32));
  return createPrivateKey({ key: Buffer.concat([privateKeyPrefix, seed]), format: 'der', type: 'pkcs8' });
};

/** Signs with Ed25519 (RFC 8032). @returns the signature in base64url */
export const createPolicySigner = (secret: string): ((content: string) => string) => {
  const key = signingKey(secret);
  return (content) => sign(null, Buffer.from(content), key).toString('base64url');
};

/** The public half, for whoever only has to verify. @returns SPKI, base64 */
export const policyPublicKey = (secret: string): string =>
  createPublicKey(signingKey(secret)).export({ format: 'der', type: 'spki' }).toString('base64');

export type VerifyPolicies = (content: string, signature: string) => boolean;

/** @param publicKey - SPKI, base64; without one nothing verifies */
export const createPolicyVerifier = (publicKey: string | undefined): VerifyPolicies => {
  if (publicKey === undefined) return () => false;
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  return (content, signature) => verify(null, Buffer.from(content), key, Buffer.from(signature, 'base64url'));
};
