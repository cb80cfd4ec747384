import { decodeJwt, decodeProtectedHeader, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { z } from 'zod';
import type { UpstreamProvider } from './upstream-providers.ts';

export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
/** How the assertion of an identity provider says what it is. */
export const idJagType = 'oauth-id-jag+jwt';
/** Longest life of an assertion, in seconds; of a machine's own token, which its platform renews by the hour. */
const idJagLifetimeSeconds = 300;
const workloadLifetimeSeconds = 3600;
const clockSkewSeconds = 30;
const workloadAlgorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];

/** Why a token or assertion is not taken: for the log and the audit; whoever brought it hears `invalid_grant` alone. */
export class AssertionRefused extends Error {}

type Keys = JWTVerifyGetKey;

const typeOf = (token: string): string | undefined => {
  try {
    return decodeProtectedHeader(token)
      .typ?.toLowerCase()
      .replace(/^application\//, '');
  } catch {
    return undefined;
  }
};

/** Whether it says that it is an assertion of an identity provider. */
export const isIdJag = (token: string): boolean => typeOf(token) === idJagType;

/** Who a token says issued it and whom it is of, before anything about it is known: good to find the declaration, and for nothing else. */
export const readClaimed = (token: string): { issuer: string; subject: string } => {
  try {
    const { iss, sub } = decodeJwt(token);
    if (typeof iss === 'string' && typeof sub === 'string') return { issuer: iss, subject: sub };
  } catch {
    // no token at all
  }
  throw new AssertionRefused('it names no issuer or no subject');
};

const verify = async (token: string, keys: Keys, options: Parameters<typeof jwtVerify>[2]): Promise<JWTPayload> => {
  try {
    return (await jwtVerify(token, keys, { clockTolerance: clockSkewSeconds, ...options })).payload;
  } catch (error) {
    throw new AssertionRefused(error instanceof Error ? error.message : 'it does not verify');
  }
};

/**
 * What is bound to a key counts from whoever has proven that key, and from nobody else (RFC 9449 §6, RFC 7800 §3.1).
 * @throws {AssertionRefused}
 */
const checkBinding = ({ cnf }: JWTPayload, provenKey: string | undefined): void => {
  if (cnf === undefined) return;
  const { jkt, ...others } = typeof cnf === 'object' && cnf !== null ? (cnf as Record<string, unknown>) : {};
  if (typeof jkt !== 'string' || Object.keys(others).length > 0) throw new AssertionRefused('it is bound in a way that is not known here');
  if (jkt !== provenKey) throw new AssertionRefused('it is bound to a key that was not proven');
};

const IdJagSchema = z.object({
  iss: z.string(),
  // one alone: an assertion that is good elsewhere too could have been meant for there
  aud: z.string(),
  sub: z.string().min(1).max(512),
  client_id: z.string().min(1).max(512),
  resource: z.string().min(1).max(2048),
  scope: z.string().max(512).default(''),
  jti: z.string().min(1).max(512),
  iat: z.int(),
  exp: z.int(),
});
export type IdJag = z.infer<typeof IdJagSchema> & JWTPayload;

/**
 * Checks an assertion by which a company's identity provider lets a client act for a person here (ID-JAG): its type, its signature, that it
 * is for us, for this client, and short. Whether its resource is ours, and whether it was used, is for the caller to ask.
 * @throws {AssertionRefused}
 * @see https://datatracker.ietf.org/doc/draft-ietf-oauth-identity-assertion-authz-grant/
 */
export const verifyIdJag = async (
  assertion: string,
  {
    keys,
    provider,
    issuerUrl,
    clientId,
    provenKey,
    now,
  }: { keys: Keys; provider: UpstreamProvider; issuerUrl: string; clientId: string; provenKey: string | undefined; now: Date },
): Promise<IdJag> => {
  const { issuer, accepts } = provider.spec;
  const payload = await verify(assertion, keys, {
    algorithms: accepts.algorithms,
    typ: idJagType,
    issuer,
    audience: issuerUrl,
    currentDate: now,
    maxTokenAge: idJagLifetimeSeconds,
  });
  const claims = IdJagSchema.safeParse(payload);
  if (!claims.success) throw new AssertionRefused(`missing or malformed: ${claims.error.issues.map(({ path }) => path[0]).join(', ')}`);
  if (claims.data.exp - claims.data.iat > idJagLifetimeSeconds) throw new AssertionRefused('it lives longer than five minutes');
  if (claims.data.client_id !== clientId) throw new AssertionRefused('it was given to another client');
  checkBinding(payload, provenKey);
  return { ...payload, ...claims.data };
};

/**
 * Checks a company's token of a person that a client exchanges for ours (RFC 8693): its signature, and that it is for an audience that the
 * declaration lists.
 * @throws {AssertionRefused}
 */
export const verifySubjectToken = async (
  token: string,
  { keys, provider, provenKey, now }: { keys: Keys; provider: UpstreamProvider; provenKey: string | undefined; now: Date },
): Promise<JWTPayload & { exp: number }> => {
  const { issuer, accepts } = provider.spec;
  if (!['jwt', 'at+jwt', undefined].includes(typeOf(token))) throw new AssertionRefused('it is not a token of a person');
  const payload = await verify(token, keys, {
    algorithms: accepts.algorithms,
    issuer,
    audience: accepts.tokenExchange?.audiences ?? [],
    currentDate: now,
    requiredClaims: ['sub', 'exp'],
  });
  if (payload.act !== undefined) throw new AssertionRefused('somebody else acts by it');
  if (payload.exp === undefined) throw new AssertionRefused('it does not end');
  checkBinding(payload, provenKey);
  return { ...payload, exp: payload.exp };
};

/**
 * Checks a machine's own token (RFC 7523 §3) by the keys that are declared for its issuer.
 * @throws {AssertionRefused}
 */
export const verifyWorkload = async (
  token: string,
  {
    keys,
    issuer,
    subject,
    issuerUrl,
    provenKey,
    now,
  }: { keys: Keys; issuer: string; subject: string; issuerUrl: string; provenKey: string | undefined; now: Date },
): Promise<{ exp: number }> => {
  if (!['jwt', undefined].includes(typeOf(token))) throw new AssertionRefused('it is not the token of a workload');
  const payload = await verify(token, keys, {
    algorithms: workloadAlgorithms,
    issuer,
    subject,
    audience: [`${issuerUrl}/token`, issuerUrl],
    currentDate: now,
    requiredClaims: ['iat', 'exp'],
  });
  checkBinding(payload, provenKey);
  const { iat = 0, exp = 0 } = payload;
  if (exp - iat > workloadLifetimeSeconds) throw new AssertionRefused('it lives longer than an hour');
  return { exp };
};
