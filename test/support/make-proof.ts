import { createHash, randomUUID } from 'node:crypto';
import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** A client's key of RFC 9449, and what makes proofs by it; `changes` spoil a proof. */
export const makeProofKey = async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const prove = (
    { method = 'POST', url, token }: { method?: string; url: string; token?: string },
    changes: { claims?: object; header?: object; key?: CryptoKey } = {},
  ): Promise<string> =>
    new SignJWT({
      htm: method,
      htu: url,
      iat: Math.floor(Date.now() / 1000),
      jti: randomUUID(),
      ...(token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }),
      ...changes.claims,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: jwk as JWK, ...changes.header })
      .sign(changes.key ?? privateKey);
  return { prove, privateKey, thumbprint: await calculateJwkThumbprint(jwk), privateJwk: await exportJWK(privateKey) };
};
export type ProofKey = Awaited<ReturnType<typeof makeProofKey>>;
