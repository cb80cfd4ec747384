import { hash } from 'node:crypto';
import { orderedJson } from './audit-rows.ts';
import { deriveContentKeys } from './secrets/seal.ts';

/**
 * Makes what names arguments in the audit: equal ones meet, and a guess cannot be confirmed without the key. The key stands in front at a
 * fixed length: who has only digests learns nothing of either part.
 * 128 bits of it are kept, which is enough to meet nobody by chance.
 * @param key - 32 bytes in base64
 */
export const createArgumentDigest = (key: string): ((value: unknown) => string) => {
  const prefix = deriveContentKeys(key, 'audit-arguments').digest.toString('base64');
  return (value) => hash('sha256', prefix + orderedJson(value), 'base64url').slice(0, 22);
};
