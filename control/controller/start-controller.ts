import type { AuditLog } from '../../store/audit-log.ts';
import type { Database } from '../../store/database.ts';
import type { ContentResealer } from '../../store/reseal-contents.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createLeadership } from './leadership.ts';
import { createSweep, type SweepTemporal } from './sweep.ts';
import { createApprovalSweep, type TellAgent } from './sweep-approvals.ts';
import { createHaltSweep } from './sweep-halts.ts';
import { createKeySweep } from './sweep-keys.ts';
import { createLimitSweep } from './sweep-limits.ts';

/**
 * Starts the controller. Until there is a reconciler it only sweeps. Of several, one leads; a lost database is waited for.
 * @param options.intervalMs - from the end of one sweep to the beginning of the next
 * @returns `close`, which waits for the sweep that is under way
 */
export const startController = ({
  database,
  audit,
  temporal,
  reseal,
  clock,
  intervalMs,
  logger,
}: {
  database: Database;
  audit: AuditLog;
  temporal: SweepTemporal & { tellAgent: TellAgent };
  reseal: ContentResealer;
  clock: () => Date;
  intervalMs: number;
  logger: Logger;
}): { close(): Promise<void> } => {
  const leadership = createLeadership(database);
  const sweep = createSweep({ database, temporal, clock, logger });
  const sweepApprovals = createApprovalSweep({ database, audit, tellAgent: temporal.tellAgent, clock, logger });
  const sweepHalts = createHaltSweep({ database, tellAgent: temporal.tellAgent, logger });
  const sweepLimits = createLimitSweep({ database, clock, logger });
  const sweepKeys = createKeySweep({ reseal, clock, logger });
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let isAway = false;

  const tick = async (): Promise<void> => {
    try {
      if (await leadership.hold()) {
        await sweep();
        await sweepApprovals();
        await sweepHalts();
        await sweepLimits();
        await sweepKeys();
      }
      if (isAway) logger.info('the controller has its database back');
      isAway = false;
    } catch (error) {
      // said once, not at every interval of a long outage
      if (!isAway) logger.warn({ code: (error as { code?: string }).code }, 'the controller cannot reach its database; it keeps trying');
      isAway = true;
    }
  };

  let current: Promise<void> = Promise.resolve();
  const next = (delayMs: number): void => {
    timer = setTimeout(() => {
      current = tick().then(() => {
        if (!isClosed) next(intervalMs);
      });
    }, delayMs);
  };
  next(0);

  return {
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      await current;
      leadership.giveUp();
    },
  };
};
