import { createRemoteJWKSet, jwtVerify } from 'jose';
import { type ProvenRequest, usedProofSeconds } from '../../policy/check-token-proof.ts';
import { needsPossession, provePossession, type SentToken } from '../../policy/prove-possession.ts';
import { hasScope, PersonTokenClaimsSchema, personTokenLifetimeSeconds } from '../../schema/access-token.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Database } from '../../store/database.ts';
import { findPersonBySession, type Person } from '../../store/people.ts';
import { useTokenProof } from '../../store/use-token-proof.ts';
import type { RefusedKeys } from '../../store/watch-refused-keys.ts';

const clockSkewSeconds = 30;
const keysTimeoutMs = 3_000;
const keysMaxAgeMs = 60_000;
/** For so long an unknown key is not asked for again. */
const keysCooldownMs = 5_000;

/** Whether it looks like a token of the issuer: three parts; the installation's own have one. */
export const isAccessToken = (token: string): boolean => token.split('.').length === 3;

/** Codes of `jose` that are about the issuer and not about the token. */
const isUnavailable = (error: unknown): boolean =>
  ['ERR_JWKS_TIMEOUT', 'ERR_JOSE_GENERIC'].includes(String((error as { code?: unknown } | null)?.code)) || error instanceof TypeError;

/**
 * Makes the check of access tokens of people (RFC 9068) whose audience is the api. The login is looked up each time, so that one which was
 * ended, or whose person was disabled, is refused at once.
 * @param options.issuer - its URL, and where it publishes its keys
 * @param options.audience - the api as a protected resource
 * @param options.refusedKeys - keys of the issuer whose time is over, or that were denied
 * @throws {PlatformError} `token_refused`, `proof_refused`, `scope_insufficient`; `server_unavailable` (retryable) when the issuer does not answer
 */
export const createPersonTokenVerifier = ({
  database,
  issuer: { issuerUrl, jwksUri },
  audience,
  clock,
  refusedKeys,
}: {
  database: Database;
  issuer: { issuerUrl: string; jwksUri: string };
  audience: string;
  clock: () => Date;
  refusedKeys?: RefusedKeys | undefined;
}) => {
  const timing = { timeoutDuration: keysTimeoutMs, cooldownDuration: keysCooldownMs, cacheMaxAge: keysMaxAgeMs };
  const keys = createRemoteJWKSet(new URL(jwksUri), timing);
  const refused = (cause?: unknown) =>
    new PlatformError('token_refused', 'The access token is not one for this api, has expired, or its login has ended; log in again.', {
      cause,
    });

  return async (sent: SentToken, carrier: ProvenRequest): Promise<Person> => {
    const { token } = sent;
    const expected = { algorithms: ['ES256'], typ: 'at+jwt', issuer: issuerUrl, audience, clockTolerance: clockSkewSeconds };
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      ...expected,
      currentDate: clock(),
      maxTokenAge: personTokenLifetimeSeconds,
    }).catch((cause: unknown) => {
      if (isUnavailable(cause)) throw new PlatformError('server_unavailable', 'The token issuer does not answer; try again.', { cause });
      throw refused(cause);
    });
    if (refusedKeys?.isRefused(protectedHeader.kid, clock())) throw refused();
    const claims = PersonTokenClaimsSchema.safeParse(payload);
    if (!claims.success) throw refused(claims.error);
    const jkt = claims.data.cnf?.jkt;
    if (needsPossession(sent, jkt)) {
      const use = (proof: { thumbprint: string; id: string }) => useTokenProof(database, 'resource', proof, usedProofSeconds);
      const proven = await provePossession(sent, { jkt, carrier, now: clock(), use });
      if (!proven.ok) throw new PlatformError('proof_refused', `The access token is not accepted: ${proven.reason}.`);
    }
    const person = await findPersonBySession(database, claims.data.sid, clock());
    if (!person || `${person.org}/${person.id}` !== claims.data.sub) throw refused();
    if (!hasScope(claims.data.scope, 'api'))
      throw new PlatformError('scope_insufficient', 'The access token does not have the scope `api`; ask the issuer for it.');
    const { expiresAt: _end, ...found } = person;
    const { auth_time: authTime, acr } = claims.data;
    return { ...found, ...(authTime === undefined ? {} : { authTime }), ...(acr === undefined ? {} : { acr }) };
  };
};
