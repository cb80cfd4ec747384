import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { calculateJwkThumbprint, EmbeddedJWK, type JWTPayload, jwtVerify } from 'jose';

/**
 * Looks at proofs as RFC 9449 §4.3 and the MCP profile of it have it, for a server that takes no other tokens than bound ones.
 * @returns what looks at one: `good`, or the error of the challenge
 */
export const createProofCheck = () => {
  const seen = new Set<string>();
  return async (
    { headers, method }: Pick<IncomingMessage, 'headers' | 'method'>,
    { url, claims, body, nonce }: { url: string; claims: JWTPayload; body: Buffer; nonce: string | undefined },
  ): Promise<'good' | 'invalid_dpop_proof' | 'use_dpop_nonce'> => {
    const token = headers.authorization?.replace(/^DPoP /, '') ?? '';
    try {
      const { payload, protectedHeader } = await jwtVerify(String(headers.dpop), EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 });
      const { jwk } = protectedHeader;
      if (!jwk || 'd' in jwk || (claims.cnf as { jkt: string }).jkt !== (await calculateJwkThumbprint(jwk))) return 'invalid_dpop_proof';
      const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
      const isOfRequest = payload.htm === method && payload.htu === url && (method !== 'POST' || payload.content_digest === digest);
      const isOfToken = payload.ath === createHash('sha256').update(token).digest('base64url');
      if (!isOfRequest || !isOfToken || typeof payload.jti !== 'string' || seen.has(payload.jti)) return 'invalid_dpop_proof';
      seen.add(payload.jti);
      return nonce === undefined || payload.nonce === nonce ? 'good' : 'use_dpop_nonce';
    } catch {
      return 'invalid_dpop_proof';
    }
  };
};
