import { type TargetKey, takeTarget } from '../store/reconcile-targets.ts';
import { findResource } from '../store/resources.ts';
import { withHeartbeat } from './failures.ts';
import { createApplyStep } from './reconcile-apply.ts';
import { createCheckFix } from './reconcile-check.ts';
import type { ReconcileCollaborators } from './reconcile-context.ts';
import { createJudgeFix } from './reconcile-judge.ts';
import { createLookAtTarget } from './reconcile-look.ts';
import { createRecheckFix } from './reconcile-recheck.ts';
import { createUndoStep } from './reconcile-undo.ts';

/** What the reconciler does to targets, by the names under which its workflow calls it: the pool `apply` alone serves these. */
export const createReconcileActivities = (collaborators: ReconcileCollaborators) => {
  const look = createLookAtTarget(collaborators);
  return {
    /** Takes the target for one run of its workflow. @returns its fence, by which everything that this run writes is held */
    takeReconcile: async ({ org, project, target }: TargetKey): Promise<{ fence: number }> => {
      const { database } = collaborators;
      const declared = await findResource(database, { org, project, kind: 'ReconcileTarget', name: target });
      const { fence } = await takeTarget(database, { org, project, target }, { generation: declared?.generation ?? 0 });
      return { fence };
    },
    lookAtTarget: (call: Parameters<typeof look>[0]) => withHeartbeat(() => look(call)),
    checkFix: createCheckFix(collaborators),
    recheckFix: createRecheckFix(collaborators),
    applyStep: createApplyStep(collaborators),
    judgeFix: createJudgeFix(collaborators),
    undoStep: createUndoStep(collaborators),
  };
};
export type ReconcileActivities = ReturnType<typeof createReconcileActivities>;
