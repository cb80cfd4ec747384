import { closedGate, frozenPause, type Pause } from '../reconcile/closed-gate.ts';
import { diffKept, type KeptDiff } from '../reconcile/diff-kept.ts';
import { historyMs } from '../reconcile/past-fix.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import type { Fix, TargetHold } from '../schema/reconcile/fix.ts';
import type { TargetPhase } from '../schema/reconcile/target-state.ts';
import type { ApprovalAsks } from '../store/ask-approval.ts';
import type { AuditLog } from '../store/audit-log.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import { listStandingFixes } from '../store/reconcile-fixes.ts';
import { listHolds } from '../store/reconcile-holds.ts';
import { findPause } from '../store/reconcile-pauses.ts';
import { findTarget, type TargetKey, writeTarget } from '../store/reconcile-targets.ts';
import { findResource } from '../store/resources.ts';
import type { FixDecider } from './reconcile-decide.ts';
import type { Seen } from './targets/see-target.ts';
import type { TargetPorts } from './targets/target-ports.ts';

/** What the activities of the reconciler work with; they run in the pool `apply`, which alone reaches what is kept. */
export type ReconcileCollaborators = {
  database: Database;
  contents: ContentStore;
  audit: AuditLog;
  ports: Pick<TargetPorts, 'of'>;
  decider: FixDecider;
  approvals: ApprovalAsks;
  /** Told of each fix that has ended. */
  learn: (fix: Fix) => Promise<unknown>;
  clock: () => Date;
};

/** Which target, and by which right: whoever took it later holds a higher fence, and then nothing is written here any more. */
export type TargetCall = TargetKey & { fence: number };
export type FixCall = TargetCall & { fixId: string; tries?: number; waitedMs?: number; goneForMs?: number | null };

/**
 * What the workflow does next. Everything of record is in rows; this names what to do and how long to wait before, so a workflow that
 * forgets it looks again and goes on from the rows. `end`: nothing to do now; the target's row says when there may be.
 */
export type NextStep =
  | { next: 'end' }
  | { next: 'look'; afterMs: number }
  /** Until people answer, or something changes; then it is looked at again. */
  | { next: 'await'; afterMs: number }
  | {
      next: 'diagnose' | 'check' | 'recheck' | 'apply' | 'judge' | 'undo';
      fixId: string;
      afterMs: number;
      /** How often it was tried already. */
      tries?: number;
      /**
       * How long it was waited for an effect, and how long of that the fault was not to be seen; null where it is. Both are sums of what the
       * workflow waited: no clock that jumps makes a hold shorter or a timeout earlier.
       */
      waitedMs?: number;
      goneForMs?: number | null;
    };

export const ended: NextStep = { next: 'end' };
export const lookAgain: NextStep = { next: 'look', afterMs: 0 };

/** What follows for a fix out of its row alone. */
export const resumed = ({ id: fixId, state }: Pick<Fix, 'id' | 'state'>): NextStep => {
  switch (state) {
    case 'diagnosing':
      return { next: 'diagnose', fixId, afterMs: 0 };
    case 'checking':
      return { next: 'check', fixId, afterMs: 0 };
    case 'awaiting-approval':
      return { next: 'recheck', fixId, afterMs: 0 };
    case 'applying':
      return { next: 'apply', fixId, afterMs: 0 };
    case 'verifying':
      return { next: 'judge', fixId, afterMs: 0 };
    case 'undoing':
      return { next: 'undo', fixId, afterMs: 0 };
    default:
      return lookAgain;
  }
};

export type LoadedTarget = {
  key: TargetKey;
  target: TargetOf;
  holds: TargetHold[];
  /** These, and those that ended within a week: of what was held people say what becomes of it. */
  heldLately: TargetHold[];
  pause: Pause | null;
  now: Date;
};

/** A target as it is declared and held now; undefined where nobody declares it any more. */
export const loadTarget = async (
  { database, clock }: Pick<ReconcileCollaborators, 'database' | 'clock'>,
  { org, project, target: name }: TargetKey,
): Promise<LoadedTarget | undefined> => {
  const resource = await findResource(database, { org, project, kind: 'ReconcileTarget', name });
  if (!resource) return undefined;
  const now = clock();
  const key = { org, project, target: name };
  const lately = await listHolds(database, key, new Date(now.getTime() - historyMs));
  const holds = lately.filter(({ untilAt }) => Date.parse(untilAt) > now.getTime());
  const place = await findResource(database, { org, project, kind: 'Project', name: project });
  return {
    ...{ key, holds, heldLately: lately, now },
    pause: place?.spec.frozen ? frozenPause : ((await findPause(database, key, now)) ?? null),
    target: {
      ...{ org, project, name, generation: resource.generation, spec: resource.spec },
      holds: holds.map(({ object, path }) => ({ object, path })),
    },
  };
};

/** Whether nothing may be begun now; a look says why, and until when. */
export const isClosed = ({ target, pause, now }: LoadedTarget): boolean => closedGate({ target, pause, now: now.getTime() }) !== undefined;

/** What differs now, held against the declaration with what verified fixes made other than it says. */
export const diffNow = async (
  { database, contents }: Pick<ReconcileCollaborators, 'database' | 'contents'>,
  { key, target, holds, now }: LoadedTarget,
  { desired, observation }: Seen,
): Promise<KeptDiff> => {
  const fixes = await listStandingFixes(database, key);
  return diffKept({ target, desired, observation, fixes, digest: contents.digestOf, holds, now: now.getTime() });
};

/** Puts the phase of a target down and leaves what was seen of it as it stands. @returns false where another has taken it */
export const reportPhase = async (
  { database }: Pick<ReconcileCollaborators, 'database'>,
  { fence, ...key }: TargetCall,
  phase: TargetPhase,
  message: string,
  dueAt: Date | null = null,
): Promise<boolean> => {
  const row = await findTarget(database, key);
  if (!row) return false;
  const { drifts, conflicts } = row;
  return (await writeTarget(database, key, fence, { phase, message, drifts, conflicts, dueAt })) !== 'lost';
};
