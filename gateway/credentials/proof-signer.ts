import { createHash, randomUUID } from 'node:crypto';
import { type CryptoKey, importJWK, SignJWT } from 'jose';
import type { ProofKey } from '../../schema/backend-credential.ts';

/** @param request.nonce - what the server gave last, where it gave one. @returns compact JWS, good for that one request */
export type SignProof = (request: { method: string; url: string; nonce: string | undefined }) => Promise<string>;

/**
 * Makes the proofs that go along with a token that is bound to a key: each for one request, and never the same one twice.
 * @param token - access token; the proof names its digest, so that it goes with no other one
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-4.2
 */
export const createProofSigner = (proofKey: ProofKey, token: string, now: () => number): SignProof => {
  const { d: _private, ...publicKey } = proofKey;
  const ath = createHash('sha256').update(token, 'ascii').digest('base64url');
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey };
  let key: Promise<CryptoKey | Uint8Array> | undefined;
  return async ({ method, url, nonce }) => {
    key ??= importJWK(proofKey, 'ES256');
    const { origin, pathname } = new URL(url);
    const claims = { htm: method, htu: `${origin}${pathname}`, ath, ...(nonce === undefined ? {} : { nonce }) };
    return new SignJWT(claims)
      .setProtectedHeader(header)
      .setJti(randomUUID())
      .setIssuedAt(Math.floor(now() / 1000))
      .sign(await key);
  };
};
