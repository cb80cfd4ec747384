import { randomUUID } from 'node:crypto';
import { importJWK, type JWK, SignJWT } from 'jose';

const lifetimeSeconds = 60;

/**
 * What our issuer states about a caller to one other authorization server, which exchanges it for a token of its own: `sub` the person, or
 * the workload that we are, `act` the agent that acts for them (RFC 8693 §4.1). Good there and nowhere else, for a minute.
 * @param audience - that authorization server
 * @returns compact JWS, ES256
 */
export const stateCaller = async (
  { issuerUrl, signingKey, clock }: { issuerUrl: string; signingKey: JWK; clock: () => Date },
  { subject, agentId, audience }: { subject: string; agentId?: string | undefined; audience: string },
): Promise<string> => {
  const issuedAt = Math.floor(clock().getTime() / 1000);
  return new SignJWT(agentId === undefined ? {} : { act: { sub: agentId } })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', ...(signingKey.kid === undefined ? {} : { kid: signingKey.kid }) })
    .setIssuer(issuerUrl)
    .setSubject(subject)
    .setAudience(audience)
    .setJti(randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(await importJWK(signingKey, 'ES256'));
};
