import type { Conflict, Drift } from '../../schema/reconcile/drift.ts';
import type { Desired, ReadObservation } from '../../schema/reconcile/observation.ts';
import type { Plan } from '../../schema/reconcile/plan.ts';
import type { FixState } from '../../schema/reconcile/target-state.ts';
import type { ReconcileTargetSpec } from '../../schema/resources/reconcile-target.ts';

/** An earlier attempt at the same fault. */
export type EarlierFix = { id: string; state: FixState; plan: Plan | null; message: string; beganAt: string };

/** One thing that was seen: text of the observed system, whoever wrote it. `cutBytes` were left out of it. */
export type EvidenceItem = { id: string; what: ItemKind; of: string; text: string; cutBytes: number };
type ItemKind = 'drift' | 'symptom' | 'object' | 'declared' | 'neighbour' | 'conflict' | 'earlier-fix';

/** What a diagnosis is shown, people see with an approval, and the audit keeps by its digest. */
export type EvidenceBundle = {
  version: 1;
  target: { name: string; type: string; critical: boolean };
  object: string;
  kind: Drift['kind'];
  faultKind: string;
  fingerprint: string;
  why: string;
  note: string;
  untrusted: EvidenceItem[];
  /** Items in which somebody speaks to whoever reads them. */
  flagged: { id: string; why: string }[];
  /** What did not fit: items left out whole, and how many bytes of others. */
  cut: { items: number; bytes: number };
};
export type BuiltEvidence = { bundle: EvidenceBundle; text: string; digest: string };

export type EvidenceInput = {
  target: { name: string; spec: ReconcileTargetSpec };
  drift: Drift;
  why: string;
  conflicts: readonly Conflict[];
  desired: Desired;
  observation: ReadObservation;
  /** Earlier attempts at the same fingerprint. */
  earlier: readonly EarlierFix[];
  /** Takes out what is known as secret or looks like it; telemetry's `redactor.text`. */
  redact: (text: string) => string;
  /** SHA-256 as hex. */
  digest: (text: string) => string;
  mostBytes?: number;
};
