import { eq } from 'drizzle-orm';
import { reconcileFixes } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';
import { findResource } from './resources.ts';

/** Whom to call when nobody answers an approval: what the reconciler's target that asks for it says; undefined where none asks or says. */
export const findReconcileContact = (executor: Executor, approvalId: string): Promise<string | undefined> =>
  guarded(async () => {
    const [fix] = await executor
      .select({ org: reconcileFixes.org, project: reconcileFixes.project, name: reconcileFixes.target })
      .from(reconcileFixes)
      .where(eq(reconcileFixes.approvalId, approvalId));
    return fix && (await findResource(executor, { kind: 'ReconcileTarget', ...fix }))?.spec.contact;
  });
