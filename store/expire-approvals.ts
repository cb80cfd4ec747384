import { and, eq, inArray, or, type SQL, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { endedRunStates } from '../schema/run.ts';
import { approvals, runs } from '../schema/tables/tables.ts';
import { type ApprovalKey, atApproval, isOver } from './approvals.ts';
import type { AuditLog } from './audit-log.ts';
import { type Database, type Executor, guarded } from './database.ts';

/** Closes approvals as expired, with a row of the audit for each. @returns how many */
export const expireWhere = async (executor: Executor, audit: AuditLog, condition: SQL | undefined): Promise<number> => {
  const rows = await executor.update(approvals).set({ state: 'expired', decidedAt: sql`now()` }).where(condition).returning();
  await audit.append(
    executor,
    rows.map(({ org, project, id, person, agent, role, fleet, run, kind, toolset, server, tool, operationId, decisionId, digest }) => ({
      ...{ org, project, person, agent, role, fleet, run, decisionId },
      ...(kind === 'call' ? { toolset, server, tool } : {}),
      operationId: operationId === '' ? null : operationId,
      kind: 'change',
      action: 'expireApproval',
      decision: 'deny',
      outcome: 'refused',
      errorCode: 'approval_expired',
      resource: `Approval/${id}`,
      facts: { digest },
    })),
  );
  return rows.length;
};

const isOfEndedRun = sql`${approvals.state} in ('pending', 'approved') and exists (
  select 1 from ${runs} where ${runs.org} = ${approvals.org} and ${runs.project} = ${approvals.project}
  and ${runs.id} = ${approvals.run} and ${inArray(runs.state, [...endedRunStates])})`;

/** Closes approvals whose time is over, and those of runs that have ended. Of all tenants; for the controller's sweep. */
export const expireApprovals = (database: Database, audit: AuditLog): Promise<number> =>
  guarded(() => database.transaction((transaction) => expireWhere(transaction, audit, or(isOver, isOfEndedRun))));

/** Ends what is asked for one operation of one caller, because it will not be made: also what was asked and nobody noted the id of. */
export const voidApprovalsOf = (
  executor: Executor,
  audit: AuditLog,
  { org, project, principal, operationId }: Tenancy & { principal: string; operationId: string },
): Promise<number> =>
  expireWhere(
    executor,
    audit,
    and(
      eq(approvals.org, org),
      eq(approvals.project, project),
      eq(approvals.principal, principal),
      eq(approvals.operationId, operationId),
      inArray(approvals.state, ['pending', 'approved']),
    ),
  );

/** Ends an approval of a change that cannot be made any more. */
export const voidApproval = (database: Database, audit: AuditLog, key: ApprovalKey): Promise<void> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      await expireWhere(transaction, audit, and(atApproval(key), inArray(approvals.state, ['pending', 'approved'])));
    }),
  );
