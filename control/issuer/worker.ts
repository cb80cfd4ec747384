/** A worker, as its proof showed it. What it says of itself is not in here. */
export type Worker = {
  /** For the log: a service account with its pod, a SPIFFE id, the thumbprint of a key. */
  name: string;
  /** Task queues of this tier, and agents on them. */
  trustTier: string;
  /** It may ask for these agents alone. */
  limits: { org?: string | undefined; project?: string | undefined; fleet?: string | undefined; role?: string | undefined };
};

export type WorkerRefusal =
  | 'proof_kind_not_accepted'
  | 'proof_not_valid'
  | 'proof_used'
  | 'key_unknown'
  | 'service_account_not_listed'
  | 'service_account_without_pod'
  | 'spiffe_id_not_usable';

export type WorkerDecision = { ok: true; worker: Worker } | { ok: false; reason: WorkerRefusal };

/**
 * Judges one proof.
 * @throws when nobody can say at the moment whether it is good; that is never a yes
 */
export type ProveWorker = (proof: string) => Promise<WorkerDecision>;

export const unproven = (reason: WorkerRefusal): WorkerDecision => ({ ok: false, reason });
