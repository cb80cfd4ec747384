import { hash } from 'node:crypto';
import { type FetchImplementation, jwtVerify } from 'jose';
import { ZodError } from 'zod';
import {
  type PersonTokenClaims,
  PersonTokenClaimsSchema,
  personTokenLifetimeSeconds,
  type RunTokenClaims,
  RunTokenClaimsSchema,
} from '../../schema/access-token.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { RefusedKeys } from '../../store/watch-refused-keys.ts';
import { createIssuerKeys, type IssuerKeys } from './issuer-keys.ts';

const clockSkewSeconds = 30;
const longestTokenLength = 4_096;
const cachedTokens = 10_000;

/** Claims of a token that is good: of an agent run, or of a person. */
export type AccessTokenClaims = RunTokenClaims | PersonTokenClaims;

/** Which of the two it is: only an agent's token says who acts. */
export const isRunToken = (claims: AccessTokenClaims): claims is RunTokenClaims => claims.act !== undefined;

/** A token that is remembered is judged at once; a refusal always comes by a promise. */
export type AccessTokenVerifier = (token: string, audience: string) => AccessTokenClaims | Promise<AccessTokenClaims>;

const factOf = (error: unknown, fact: 'code' | 'claim'): unknown => (error as Record<string, unknown> | null)?.[fact];

const refused = (why: string, cause?: unknown, facts: PlatformError['facts'] = {}) =>
  new PlatformError('token_refused', `The access token is not accepted: ${why}.`, { cause, facts });
const foreignAudience = 'it was issued for another server';

const isOfActors = (error: unknown): boolean => error instanceof ZodError && error.issues.some(({ path }) => path[0] === 'act');

const refusalOf = (error: unknown): PlatformError => {
  if (isPlatformError(error)) return error;
  if (factOf(error, 'code') === 'ERR_JWT_EXPIRED') return refused('it has expired; ask the issuer for a new one', error);
  if (factOf(error, 'claim') === 'aud') return refused(foreignAudience, error);
  if (factOf(error, 'claim') === 'iss') return refused('it comes from another issuer', error);
  if (isOfActors(error)) return refused('its chain of actors is malformed or longer than three', error, { flag: 'actor-chain' });
  return refused('it is not a valid token of an agent run or a person', error);
};

/**
 * Makes the check of tokens that the issuer minted for agent runs and for people (RFC 9068, ES256, `typ: at+jwt`).
 * A token that passed is remembered by its hash until `exp`, the 10,000 used last; its audience is compared on every call.
 * @param options.issuerUrl - the only accepted `iss`
 * @param options.jwksUri - where the issuer publishes its keys
 * @param options.clock - time that `exp` and `nbf` are compared with, 30 s of skew allowed
 * @param options.fetchJwks - replaces `fetch` for the keys
 * @param options.keys - where the issuer's keys come from, in place of a source of its own
 * @param options.refusedKeys - keys whose time is over, or that were denied
 * @returns `(token, audience)` → frozen claims; `audience` is the canonical URL of the server that was called
 * @throws {PlatformError} `token_refused`; `server_unavailable` (retryable) when the key is not known and the issuer does not answer
 */
export const createAccessTokenVerifier = ({
  issuerUrl,
  jwksUri,
  clock = () => new Date(),
  fetchJwks,
  refusedKeys,
  keys = createIssuerKeys({ jwksUri, fetchJwks }),
}: {
  issuerUrl: string;
  jwksUri: string;
  clock?: () => Date;
  fetchJwks?: FetchImplementation;
  refusedKeys?: RefusedKeys;
  keys?: IssuerKeys;
}): AccessTokenVerifier => {
  const verified = new Map<string, AccessTokenClaims>();
  // which key signed each is not remembered, and a key is refused seldom: all are checked again
  refusedKeys?.onRefused(() => verified.clear());

  const verify = async (token: string, audience: string): Promise<AccessTokenClaims> => {
    const expected = { algorithms: ['ES256'], typ: 'at+jwt', issuer: issuerUrl, audience, clockTolerance: clockSkewSeconds };
    const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
      ...expected,
      currentDate: clock(),
      maxTokenAge: personTokenLifetimeSeconds,
    });
    // after the keys were asked: what was heard of this key meanwhile counts
    if (refusedKeys?.isRefused(protectedHeader.kid, clock()))
      throw refused('the key that signed it is not trusted any more; ask for a new one');
    return payload.act === undefined ? PersonTokenClaimsSchema.parse(payload) : RunTokenClaimsSchema.parse(payload);
  };

  const remember = (key: string, claims: AccessTokenClaims): AccessTokenClaims => {
    // taken out and put back at the end: a Map keeps that order, so the first entry is the one used longest ago
    verified.delete(key);
    verified.set(key, claims);
    if (verified.size > cachedTokens) verified.delete(verified.keys().next().value as string);
    return claims;
  };

  return (token, audience) => {
    if (token.length > longestTokenLength) return Promise.reject(refused('it is too long'));
    const key = hash('sha256', token, 'base64url');
    const known = verified.get(key);
    if (known !== undefined && known.exp * 1000 > clock().getTime())
      return known.aud === audience ? remember(key, known) : Promise.reject(refused(foreignAudience));
    verified.delete(key);
    return verify(token, audience).then(
      (claims) => remember(key, claims),
      (error) => Promise.reject(refusalOf(error)),
    );
  };
};
