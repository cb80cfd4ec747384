import type { Database } from '../../store/database.ts';
import type { Declared } from '../../store/declared.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { leaderLocks } from './leadership.ts';
import { createLook, type StartReconcile } from './look-at-target.ts';
import { startLeading } from './start-leading.ts';
import { createTargetView } from './target-view.ts';
import { createTargetWatch, type PortsOfTargets } from './watch-targets.ts';

/**
 * Looks at the targets that the controller has no adapter for, as the controller does at all others: one that is as declared costs no workflow and
 * no write. For the processes that have these adapters: an `mcp` target is seen as an agent, and only a worker of the pool `apply` can speak as
 * one. Of several, one leads; without such a target there is nothing to lead, and the database is not asked.
 * @param options.ports - adapters of these kinds alone
 * @param options.intervalMs - from one question after the lead to the next
 * @returns `take`, for what is declared now, and `close`, which waits for what is under way
 */
export const startTargetWatch = ({
  database,
  ports,
  startReconcile,
  digest,
  clock,
  intervalMs = 5_000,
  logger,
}: {
  database: Database;
  ports: PortsOfTargets;
  startReconcile: StartReconcile;
  /** What fixes know declared objects by. */
  digest: (text: string) => string;
  clock: () => Date;
  intervalMs?: number;
  logger: Logger;
}): { take(declared: Declared): void; close(): Promise<void> } => {
  const look = createLook({ database, views: createTargetView({ database, clock }), startReconcile, clock, digest });
  const targets = createTargetWatch({ ports, look, logger });
  let isNeeded = false;
  const close = startLeading({
    ...{ database, lock: leaderLocks.agentTargets, isNeeded: () => isNeeded, intervalMs, logger, who: 'who looks at targets' },
    ...{ work: targets.lead, rest: targets.rest, settle: targets.close },
  });
  return {
    take: (declared) => {
      isNeeded = declared.list('ReconcileTarget').some(({ spec }) => ports.of(spec.type) !== undefined);
      targets.take(declared);
    },
    close,
  };
};
