import { type WorkerTrust, workerProofAudience, workerProofTypes } from '../../schema/worker-proof.ts';
import type { WorkerKeys } from '../../store/worker-keys.ts';
import { createJoinedProver } from './prove-joined-worker.ts';
import { createSvidProver } from './prove-jwt-svid.ts';
import { createServiceAccountProver } from './prove-service-account.ts';
import { type ProveWorker, unproven, type WorkerDecision } from './worker.ts';

/** How the issuer believes that it is a worker who asks, and which. What is absent is not accepted. */
export type WorkersConfig = WorkerTrust & {
  /** Known to the supervisor that starts workers, and to the issuer; at least 32 characters. */
  joinKey?: string;
};

/** Judges proofs of workers, each by what its kind says it is; a kind that is not configured is refused, and no other kind is tried. */
export const createWorkerCheck = (
  { joinKey, kubernetes, spiffe }: WorkersConfig,
  { issuerUrl, keys, clock }: { issuerUrl: string; keys: WorkerKeys; clock: () => Date },
): ((type: string, proof: string) => Promise<WorkerDecision>) => {
  const audience = workerProofAudience(issuerUrl);
  const provers = new Map<string, ProveWorker>();
  if (joinKey !== undefined) provers.set(workerProofTypes.joined, createJoinedProver({ keys, audience, clock }));
  if (kubernetes) provers.set(workerProofTypes.kubernetes, createServiceAccountProver({ trust: kubernetes, audience }));
  if (spiffe) provers.set(workerProofTypes.spiffe, createSvidProver({ trust: spiffe, audience, clock }));
  return async (type, proof) => provers.get(type)?.(proof) ?? unproven('proof_kind_not_accepted');
};
