import { randomBytes } from 'node:crypto';
import type { ReconcileCollaborators } from '../../activities/reconcile-context.ts';
import { createFixDecider } from '../../activities/reconcile-decide.ts';
import { createLearnFromFix } from '../../activities/reconcile-learn.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import type { TargetPort } from '../../reconcile/target-port.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { createApprovalAsks } from '../../store/ask-approval.ts';
import { createContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { approvalKeys } from './ask-approval.ts';
import { openAuditLog } from './audit-log.ts';

export const contentsOf = (database: Database) =>
  createContentStore(database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content'));

/** What the pool `apply` works with, as a worker has it: real rows and policies, over one adapter for all targets. */
export const createReconcileParts = ({
  database,
  target,
  clock = () => new Date(),
  mayApproveOwn = false,
}: {
  database: Database;
  target: TargetPort<'kubernetes'>;
  clock?: () => Date;
  mayApproveOwn?: boolean;
}) => {
  const audit = openAuditLog(database, 'worker');
  const engine = createPolicyEngine({ name: `reconcile-${randomBytes(3).toString('hex')}` });
  const spec = { subjects: [{ person: 'owner' }], toolsets: [], models: [], agentRoles: ['diagnoser'], fleets: [] } as never;
  engine.load(defaultTenancy, { policySets: [], bindings: [{ name: 'diagnosers', spec }] });
  const newDecisionId = (): string => `dec_${randomBytes(9).toString('hex')}`;
  const collaborators: Omit<ReconcileCollaborators, 'database' | 'contents'> = {
    ...{ audit, clock },
    ports: { of: () => target } as unknown as ReconcileCollaborators['ports'],
    decider: createFixDecider({ database, engine, audit, mayApproveOwn, newDecisionId }),
    approvals: createApprovalAsks(database, audit, approvalKeys),
    learn: createLearnFromFix({ database, audit, newDecisionId }),
  };
  return { audit, engine, collaborators };
};
