import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';

/**
 * Makes a private signing key for the issuer.
 * @returns an ES256 JWK (P-256) with `alg`, `use` and its RFC 7638 thumbprint as `kid`. It carries no `key_ops`: they would be
 * published with the public half, where `sign` forbids verifying.
 * @see https://www.rfc-editor.org/rfc/rfc7638
 */
export const makeSigningKey = async (): Promise<JWK> => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint(key);
  // people name keys on the command line, where this would be an option; one in 64 begins so
  return kid.startsWith('-') ? makeSigningKey() : { ...key, kid, alg: 'ES256', use: 'sig' };
};
