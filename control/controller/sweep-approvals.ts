import { toPlatformError } from '../../schema/errors.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { Database } from '../../store/database.ts';
import { expireApprovals } from '../../store/expire-approvals.ts';
import { listUntoldAgents, markTold } from '../../store/tell-agents.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** Told once more is harmless; `gone` when no such workflow runs. */
export type TellAgent = (told: { agent: string; approvalId: string }) => Promise<'told' | 'gone'>;

/** So long the api has to tell a workflow by itself. */
const lostAfterMs = 5_000;

/** Closes approvals whose time is over, and tells workflows of decisions whose signal was lost between the row and Temporal. */
export const createApprovalSweep = ({
  database,
  audit,
  tellAgent,
  clock,
  logger,
}: {
  database: Database;
  audit: AuditLog;
  tellAgent: TellAgent;
  clock: () => Date;
  logger: Logger;
}): (() => Promise<void>) => {
  return async () => {
    const expired = await expireApprovals(database, audit);
    if (expired > 0) logger.info({ expired }, 'approvals were not given in time and count as refused');
    for (const { id, agent } of await listUntoldAgents(database, new Date(clock().getTime() - lostAfterMs)))
      try {
        await tellAgent({ agent, approvalId: id });
        await markTold(database, id);
      } catch (error) {
        logger.warn({ code: toPlatformError(error).code, approval: id }, 'a decision could not be told; the next sweep tries again');
      }
  };
};
