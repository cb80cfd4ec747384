import type { AuditLog } from '../../store/audit-log.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { repeat } from '../../store/repeat.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createLeadership } from './leadership.ts';
import { createSweep, type SweepTemporal } from './sweep.ts';
import { createApprovalSweep, type TellAgent } from './sweep-approvals.ts';
import { createHaltSweep } from './sweep-halts.ts';
import { createKeySweep } from './sweep-keys.ts';
import { createLimitSweep } from './sweep-limits.ts';
import { createRetentionSweep } from './sweep-retention.ts';

/**
 * Starts the controller. Until there is a reconciler it only sweeps, and removes what projects do not keep. Of several, one leads; a lost database is waited for.
 * @param options.intervalMs - from the end of one sweep to the beginning of the next
 * @returns `close`, which waits for the sweep that is under way
 */
export const startController = ({
  database,
  audit,
  temporal,
  contents,
  clock,
  intervalMs,
  logger,
}: {
  database: Database;
  audit: AuditLog;
  temporal: SweepTemporal & { tellAgent: TellAgent };
  contents: ContentStore;
  clock: () => Date;
  intervalMs: number;
  logger: Logger;
}): { close(): Promise<void> } => {
  const leadership = createLeadership(database);
  const sweep = createSweep({ database, temporal, clock, logger });
  const sweepApprovals = createApprovalSweep({ database, audit, tellAgent: temporal.tellAgent, clock, logger });
  const sweepHalts = createHaltSweep({ database, tellAgent: temporal.tellAgent, logger });
  const sweepLimits = createLimitSweep({ database, clock, logger });
  const sweepKeys = createKeySweep({ reseal: contents.resealer(), rewrap: contents.ring.rewrap, clock, logger });
  const sweepRetention = createRetentionSweep({ database, audit, contents, clock, logger });
  const loop = repeat({
    work: async () => {
      if (!(await leadership.hold())) return;
      await sweep();
      await sweepApprovals();
      await sweepHalts();
      await sweepLimits();
      await sweepKeys();
      await sweepRetention();
    },
    intervalMs,
    onFailure: (error) =>
      logger.warn({ code: (error as { code?: string }).code }, 'the controller cannot reach its database; it keeps trying'),
    onRecovery: () => logger.info('the controller has its database back'),
  });

  return {
    close: async () => {
      await loop.close();
      leadership.giveUp();
    },
  };
};
