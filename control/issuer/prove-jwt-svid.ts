import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import type { WorkerTrust } from '../../schema/worker-proof.ts';
import { readSpiffeId } from './read-spiffe-id.ts';
import { type ProveWorker, unproven } from './worker.ts';

/** What the JWT-SVID specification lists. */
const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
const clockSkewSeconds = 30;
/** SPIRE's are five minutes long; one that lives for longer than this is no proof of anything that runs now. */
const longestLifetimeSeconds = 3600;
const timing = { cacheMaxAge: 60_000, cooldownDuration: 5_000, timeoutDuration: 5_000 };

/** Errors of `jose` that are about the token; whatever else fails means that the keys could not be had. */
const isAboutToken = (error: unknown): boolean =>
  error instanceof errors.JOSEError &&
  !(error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid || error.code === errors.JOSEError.code);

/** Of a bundle, the keys for JWT-SVIDs; a `use` of SPIFFE's own (SPIFFE Trust Domain and Bundle §4.2.2) is taken off, which `jose` does not know. */
const forSvids = (bundle: unknown): JSONWebKeySet => ({
  keys: (bundle as JSONWebKeySet).keys.flatMap(({ use, ...key }) =>
    use === undefined || use === 'sig' || use === 'jwt-svid' ? [key] : [],
  ),
});

const fetchBundle: FetchImplementation = async (url, options) => {
  const answer = await fetch(url, options);
  return answer.ok ? Response.json(forSvids(await answer.json())) : answer;
};

const keysOf = (jwks: NonNullable<WorkerTrust['spiffe']>['jwks']): JWTVerifyGetKey => {
  if ('url' in jwks) return createRemoteJWKSet(new URL(jwks.url), { ...timing, [customFetch]: fetchBundle });
  // read each time: SPIRE replaces the file when it rotates its keys
  return async (header, token) => createLocalJWKSet(forSvids(JSON.parse(await readFile(jwks.file, 'utf8'))))(header, token);
};

/**
 * Judges a JWT-SVID of one trust domain, for our token endpoint alone.
 * @see https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md
 */
export const createSvidProver = ({
  trust: { trustDomain, jwks },
  audience,
  clock,
}: {
  trust: NonNullable<WorkerTrust['spiffe']>;
  audience: string;
  clock: () => Date;
}): ProveWorker => {
  const keys = keysOf(jwks);
  return async (proof) => {
    const expected = { algorithms, audience, requiredClaims: ['sub', 'exp'], clockTolerance: clockSkewSeconds, currentDate: clock() };
    const verified = await jwtVerify(proof, keys, expected).catch((error: unknown) => {
      if (isAboutToken(error)) return undefined;
      throw error;
    });
    if (verified === undefined) return unproven('proof_not_valid');
    const { payload, protectedHeader } = verified;
    const secondsLeft = (payload.exp ?? 0) - clock().getTime() / 1000;
    if (secondsLeft > longestLifetimeSeconds || !['JWT', 'JOSE', undefined].includes(protectedHeader.typ))
      return unproven('proof_not_valid');
    const worker = readSpiffeId(payload.sub ?? '', trustDomain);
    return worker ? { ok: true, worker } : unproven('spiffe_id_not_usable');
  };
};
