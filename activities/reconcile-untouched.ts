import { getApproval } from '../store/approvals.ts';
import type { Database } from '../store/database.ts';
import type { PlannedFix } from './reconcile-load-fix.ts';
import { planDigestOf } from './reconcile-plan.ts';

export const touchedPlan = 'The plan in the row is not the one that was decided about.';

/**
 * Whether the plan in a row is, byte for byte, the one that was decided about, and the one that people approved where they were asked. Looked
 * at before each write: a row can be changed at any time, and what an approval is of is sealed elsewhere.
 */
export const isUntouched = async ({ database }: { database: Database }, fix: PlannedFix): Promise<boolean> => {
  const { org, project, approvalId, plan, planDigest } = fix;
  if (planDigestOf(plan) !== planDigest) return false;
  return approvalId === null || (await getApproval(database, { org, project, id: approvalId })).digest === planDigest;
};
