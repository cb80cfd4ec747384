import type { AuditLog } from '../../store/audit-log.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import type { Declared } from '../../store/declared.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { leaderLocks } from './leadership.ts';
import { createLook, type StartReconcile } from './look-at-target.ts';
import { startLeading } from './start-leading.ts';
import { createSweep, type SweepTemporal } from './sweep.ts';
import { createApprovalSweep, type TellAgent } from './sweep-approvals.ts';
import { createHaltSweep } from './sweep-halts.ts';
import { createKeySweep } from './sweep-keys.ts';
import { createLimitSweep } from './sweep-limits.ts';
import { createRetentionSweep } from './sweep-retention.ts';
import { createTargetSweep, type IsReconciling } from './sweep-targets.ts';
import { createTargetView } from './target-view.ts';
import { createTargetWatch, type PortsOfTargets } from './watch-targets.ts';

/**
 * Starts the controller: it sweeps, removes what projects do not keep, and looks at the targets that are declared to be kept. Of several, one leads; a lost database is waited for.
 * @param options.intervalMs - from the end of one sweep to the beginning of the next
 * @returns `take`, for what is declared now, and `close`, which waits for what is under way
 */
export const startController = ({
  database,
  audit,
  temporal,
  contents,
  ports,
  digest,
  clock,
  intervalMs,
  logger,
}: {
  database: Database;
  audit: AuditLog;
  temporal: SweepTemporal & { tellAgent: TellAgent; startReconcile: StartReconcile; isReconciling: IsReconciling };
  contents: ContentStore;
  /** What targets are looked at with; those of other kinds are looked at elsewhere (`startTargetWatch`). */
  ports: PortsOfTargets;
  /** What fixes know declared objects by. */
  digest: (text: string) => string;
  clock: () => Date;
  intervalMs: number;
  logger: Logger;
}): { take(declared: Declared): void; close(): Promise<void> } => {
  const sweep = createSweep({ database, temporal, clock, logger });
  const sweepApprovals = createApprovalSweep({ database, audit, tellAgent: temporal.tellAgent, clock, logger });
  const sweepHalts = createHaltSweep({ database, tellAgent: temporal.tellAgent, logger });
  const sweepLimits = createLimitSweep({ database, clock, logger });
  const sweepKeys = createKeySweep({ reseal: contents.resealer(), rewrap: contents.ring.rewrap, clock, logger });
  const sweepRetention = createRetentionSweep({ database, audit, contents, clock, logger });
  const { startReconcile, isReconciling } = temporal;
  const look = createLook({ database, views: createTargetView({ database, clock }), startReconcile, clock, digest });
  const targets = createTargetWatch({ ports, look, logger });
  const sweepTargets = createTargetSweep({ database, startReconcile, isReconciling, isDeclared: targets.isDeclared, clock, logger });
  const work = async (): Promise<void> => {
    targets.lead();
    await sweep();
    await sweepApprovals();
    await sweepHalts();
    await sweepLimits();
    await sweepKeys();
    await sweepRetention();
    await sweepTargets();
  };
  const close = startLeading({
    ...{ database, lock: leaderLocks.controller, intervalMs, logger, who: 'the controller' },
    ...{ work, rest: targets.rest, settle: targets.close },
  });
  return { take: targets.take, close };
};
