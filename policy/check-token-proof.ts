import { hash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose';

/** Signatures of proofs that are taken, as metadata and challenges name them. */
export const proofAlgorithms = ['ES256', 'Ed25519', 'EdDSA'];
/** How old a proof may be, and how far ahead a clock, in seconds. */
export const proofAgeSeconds = 300;
/** How long it has to be remembered that one was used: it may have been made ahead. */
export const usedProofSeconds = 2 * proofAgeSeconds;
const longestProofLength = 4096;
const longestIdLength = 256;

/** A request as its proof has to describe it. */
export type ProvenRequest = {
  /** The header `DPoP`; one that was sent twice is none. */
  proof: string | undefined;
  method: string;
  /** What was called, without query and fragment; more than one where a proxy of ours stands before it. */
  urls: readonly string[];
};

/** `thumbprint` is that of the key (RFC 7638); `id` names this one proof, which is good once. */
export type ProofDecision = { ok: true; thumbprint: string; id: string } | { ok: false; reason: string };

const no = (reason: string): ProofDecision => ({ ok: false, reason });

const isUrl = (claimed: unknown, url: string): boolean => {
  if (typeof claimed !== 'string' || !URL.canParse(claimed)) return false;
  const parsed = new URL(claimed);
  parsed.search = '';
  parsed.hash = '';
  return parsed.href === new URL(url).href;
};

/**
 * Judges a proof of possession as RFC 9449 §4.3 has it: by the key that it carries, for this method and URL, made just now, and for this
 * token where there is one. Whether it is the key that a token is bound to, and whether the proof was used before, is for the caller to ask.
 * @param options.token - the access token that it has to be for; absent at a token endpoint
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-4.3
 */
export const checkTokenProof = async (
  { proof, method, urls }: ProvenRequest,
  { token, now }: { token?: string; now: Date },
): Promise<ProofDecision> => {
  if (proof === undefined) return no('there is no proof of the key, the header `DPoP`');
  if (proof.length > longestProofLength) return no('the proof is too long');
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { algorithms: proofAlgorithms, typ: 'dpop+jwt' });
    const jwk = protectedHeader.jwk as JWK;
    // RFC 9449 §4.3 (7): a key that everybody can read proves nothing
    if ('d' in jwk || 'k' in jwk) return no('the proof carries a private key');
    const { htm, htu, iat, jti, ath } = payload;
    if (htm !== method || !urls.some((url) => isUrl(htu, url))) return no('the proof is for another request');
    if (typeof iat !== 'number' || Math.abs(now.getTime() / 1000 - iat) > proofAgeSeconds) return no('the proof was not made just now');
    if (token !== undefined && ath !== hash('sha256', token, 'base64url')) return no('the proof is for another token');
    if (typeof jti !== 'string' || jti === '' || jti.length > longestIdLength) return no('the proof has no name of its own');
    return { ok: true, thumbprint: await calculateJwkThumbprint(jwk), id: jti };
  } catch {
    return no('the proof does not verify');
  }
};
