import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import type { TargetDetail } from '../../schema/reconcile/requests.ts';
import type { TargetStatus } from '../../schema/reconcile/target-state.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { listApprovalExpiries } from '../../store/approvals.ts';
import type { Database } from '../../store/database.ts';
import { listOpenFixes } from '../../store/reconcile-fixes.ts';
import { listHoldsIn } from '../../store/reconcile-holds.ts';
import { listPauses } from '../../store/reconcile-pauses.ts';
import { listTargetRows, type TargetKey } from '../../store/reconcile-targets.ts';
import { findResource, listResources } from '../../store/resources.ts';
import type { TemporalPort } from './api-dependencies.ts';

export type DeclaredTarget = StoredResource<'ReconcileTarget'>;

/** @throws {PlatformError} `not_found` */
export const getTarget = async (database: Database, { org, project, target: name }: TargetKey): Promise<DeclaredTarget> => {
  const found = await findResource(database, { org, project, kind: 'ReconcileTarget', name });
  if (found) return found;
  throw new PlatformError(
    'not_found',
    `No ReconcileTarget ${name} is declared in ${org}/${project}; \`quarterdeck get reconciletarget\` lists them.`,
  );
};

/** The most pressing of the open fixes: the one that people are asked about, or the oldest. */
const shownFix = (fixes: readonly Fix[]): Fix | undefined => fixes.find(({ approvalId }) => approvalId !== null) ?? fixes[0];

/** Where each target of a project is, or the one that is named. One that was not looked at yet is `unknown`. */
export const listTargetStatus = async (
  database: Database,
  place: Tenancy,
  only: DeclaredTarget | undefined,
  now: Date,
): Promise<TargetStatus[]> => {
  const [declared, rows, fixes, pauses, holds] = await Promise.all([
    only ? [only] : listResources(database, { ...place, kind: 'ReconcileTarget' }),
    listTargetRows(database, place),
    listOpenFixes(database, { ...place, ...(only ? { target: only.metadata.name } : {}) }),
    listPauses(database, place, now),
    listHoldsIn(database, place, now),
  ]);
  const expiries = await listApprovalExpiries(
    database,
    fixes.flatMap(({ approvalId }) => approvalId ?? []),
  );
  return declared
    .toSorted((one, other) => (one.metadata.name < other.metadata.name ? -1 : 1))
    .map(({ metadata: { org, project, name: target }, spec }) => {
      const row = rows.find((one) => one.target === target);
      const fix = shownFix(fixes.filter((one) => one.target === target));
      const held = holds.filter((one) => one.target === target);
      return {
        ...{ org, project, target, type: spec.type },
        phase: row?.phase ?? 'unknown',
        message: row ? row.message : 'It was not looked at yet.',
        drifts: row?.drifts ?? [],
        conflicts: row?.conflicts ?? [],
        dueAt: row?.dueAt ?? null,
        changedAt: row?.changedAt ?? null,
        openFix: fix?.id ?? null,
        approvalId: fix?.approvalId ?? null,
        approvalExpiresAt: (fix?.approvalId && expiries.get(fix.approvalId)) || null,
        pause: pauses.find((one) => one.target === target) ?? pauses.find((one) => one.target === '') ?? null,
        isPausedBySpec: spec.paused,
        heldUntil: held.at(-1)?.untilAt ?? null,
      };
    });
};

/** One target with its holds, and whether anybody works at it now. @throws {PlatformError} `not_found` */
export const readTargetDetail = async (
  { database, temporal, clock }: { database: Database; temporal: Pick<TemporalPort, 'isReconciling'>; clock: () => Date },
  key: TargetKey,
): Promise<TargetDetail> => {
  const now = clock();
  const declared = await getTarget(database, key);
  const [[status], holds, isReconciling] = await Promise.all([
    listTargetStatus(database, key, declared, now),
    listHoldsIn(database, key, now),
    temporal.isReconciling(key).catch(() => null), // where a target is, its row says; Temporal only whether somebody is at it
  ]);
  if (!status) throw new PlatformError('internal', `The target ${key.target} has no status.`);
  const mine = holds.filter(({ target }) => target === key.target).map(({ org: _o, project: _p, target: _t, ...hold }) => hold);
  return { ...status, holds: mine, isReconciling };
};
