import { createLocalJWKSet, createRemoteJWKSet, customFetch, type FetchImplementation, type JWTVerifyGetKey } from 'jose';
import { PlatformError } from '../../schema/errors.ts';
import type { ProcessReport } from '../../schema/process-report.ts';

const maxAgeMs = 60_000;
const cooldownMs = 5_000;
const timeoutMs = 3_000;

/** Codes of `jose` that are about the token; any other failure of a key look-up means that the issuer gave no usable answer. */
const keyAnswers: ReadonlySet<unknown> = new Set(['ERR_JWKS_NO_MATCHING_KEY', 'ERR_JWKS_MULTIPLE_MATCHING_KEYS', 'ERR_JOSE_NOT_SUPPORTED']);
const codeOf = (error: unknown): unknown => (error as { code?: unknown } | null)?.code;

export type IssuerKeys = {
  find: JWTVerifyGetKey;
  /** Which keys are there now, without asking for them. */
  report(): Extract<ProcessReport, { process: 'gateway' }>['keys'];
  /** Asks the issuer now. Nothing of what is checked changes; where it does not answer the keys that are known stay. */
  refetch(): Promise<void>;
};

/** The issuer's keys, looked up at most once a minute or for an unknown `kid`; while it is away the last ones known are used. */
export const createIssuerKeys = ({
  jwksUri,
  fetchJwks = fetch as FetchImplementation,
}: {
  jwksUri: string;
  fetchJwks?: FetchImplementation | undefined;
}): IssuerKeys => {
  let fetchedAt = '';
  let failure = '';
  const remote = createRemoteJWKSet(new URL(jwksUri), {
    ...{ cacheMaxAge: maxAgeMs, cooldownDuration: cooldownMs, timeoutDuration: timeoutMs },
    [customFetch]: async (...asked) => {
      try {
        const answer = await fetchJwks(...asked);
        failure = answer.ok ? '' : `the issuer answered ${answer.status}`;
        if (answer.ok) fetchedAt = new Date().toISOString();
        return answer;
      } catch (error) {
        failure = 'the issuer does not answer';
        throw error;
      }
    },
  });

  return {
    find: async (header, token) => {
      try {
        return await remote(header, token);
      } catch (error) {
        if (keyAnswers.has(codeOf(error))) throw error;
        const lastKnown = remote.jwks();
        const unavailable = new PlatformError(
          'server_unavailable',
          'The token issuer does not answer, so the token cannot be checked; try again.',
          { cause: error },
        );
        if (lastKnown === undefined) throw unavailable;
        return await createLocalJWKSet(lastKnown)(header, token).catch(() => Promise.reject(unavailable));
      }
    },
    report: () => ({ kids: (remote.jwks()?.keys ?? []).flatMap(({ kid }) => (kid === undefined ? [] : [kid])).sort(), fetchedAt, failure }),
    refetch: async () => {
      await remote.reload().catch(() => {
        throw new PlatformError('server_unavailable', `The keys could not be fetched: ${failure || 'the answer is no set of keys'}.`);
      });
    },
  };
};
