import { createPublicKey } from 'node:crypto';
import { decodeProtectedHeader, type JWK, jwtVerify } from 'jose';
import { joinedProofLifetimeSeconds } from '../../schema/worker-proof.ts';
import type { WorkerKeys } from '../../store/worker-keys.ts';
import { type ProveWorker, unproven } from './worker.ts';

const clockSkewSeconds = 30;

const thumbprintIn = (proof: string): string | undefined => {
  try {
    return decodeProtectedHeader(proof).kid;
  } catch {
    return undefined;
  }
};

/** Judges a JWT that a worker signed with the key that it joined with: for this token endpoint, a minute old at most, good once. */
export const createJoinedProver =
  ({ keys, audience, clock }: { keys: WorkerKeys; audience: string; clock: () => Date }): ProveWorker =>
  async (proof) => {
    const thumbprint = thumbprintIn(proof);
    const key = thumbprint === undefined ? undefined : await keys.find(thumbprint);
    if (thumbprint === undefined || key === undefined) return unproven('key_unknown');
    const expected = {
      algorithms: ['ES256'],
      typ: 'worker-proof+jwt',
      audience,
      subject: thumbprint,
      requiredClaims: ['exp', 'jti'],
      maxTokenAge: joinedProofLifetimeSeconds,
      clockTolerance: clockSkewSeconds,
      currentDate: clock(),
    };
    const verified = await jwtVerify(proof, createPublicKey({ key: key.jwk as JWK, format: 'jwk' }), expected).catch(() => undefined);
    const { jti } = verified?.payload ?? {};
    if (jti === undefined) return unproven('proof_not_valid');
    // for as long as it could be shown again, its skew included
    if (!(await keys.useOnce('WorkerProof', `${thumbprint}:${jti}`, joinedProofLifetimeSeconds + 2 * clockSkewSeconds)))
      return unproven('proof_used');
    return { ok: true, worker: { name: `worker/${thumbprint}`, trustTier: key.tier, limits: {} } };
  };
