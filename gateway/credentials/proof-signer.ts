import { createHash, randomUUID } from 'node:crypto';
import { type CryptoKey, importJWK, SignJWT } from 'jose';
import type { ProofKey } from '../../schema/backend-credential.ts';

/**
 * @param request.body - named by its digest, so that the proof goes with no other message to the same address (the MCP profile of DPoP)
 * @param request.nonce - what the server gave last, where it gave one
 * @returns compact JWS, good for that one request
 */
export type SignProof = (request: { method: string; url: string; body: string | undefined; nonce: string | undefined }) => Promise<string>;

const digestClaim = (body: string | undefined): { content_digest?: string } =>
  body === undefined ? {} : { content_digest: `sha-256=:${createHash('sha256').update(body).digest('base64')}:` };

/**
 * Makes the proofs that go along with a token that is bound to a key: each for one request, and never the same one twice.
 * @param token - access token; the proof names its digest, so that it goes with no other one
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-4.2
 * @see https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/dpop-extension.mdx
 */
export const createProofSigner = (proofKey: ProofKey, token: string, now: () => number): SignProof => {
  const { d: _private, ...publicKey } = proofKey;
  const ath = createHash('sha256').update(token, 'ascii').digest('base64url');
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey };
  let key: Promise<CryptoKey | Uint8Array> | undefined;
  return async ({ method, url, body, nonce }) => {
    key ??= importJWK(proofKey, 'ES256');
    const { origin, pathname } = new URL(url);
    const claims = { htm: method, htu: `${origin}${pathname}`, ath, ...digestClaim(body), ...(nonce === undefined ? {} : { nonce }) };
    return new SignJWT(claims)
      .setProtectedHeader(header)
      .setJti(randomUUID())
      .setIssuedAt(Math.floor(now() / 1000))
      .sign(await key);
  };
};
