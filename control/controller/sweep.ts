import { type Haltable, indexHalts } from '../../policy/halt-index.ts';
import { toPlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { FleetWorkflowInput } from '../../schema/workflow-contract.ts';
import type { Database } from '../../store/database.ts';
import { listHalts } from '../../store/halts.ts';
import { cancelOpenAgents, findRun, listStaleRuns, moveRun, type Run } from '../../store/runs.ts';
import type { Logger } from '../../telemetry/logger.ts';

/** What a sweep asks of Temporal; both may be asked again and again. */
export type SweepTemporal = {
  startFleet(input: FleetWorkflowInput): Promise<void>;
  /** `gone` when no such workflow runs */
  cancelFleet(key: Tenancy & { fleet: string; runId: string }): Promise<'requested' | 'gone'>;
};

/** So long a run may wait for its workflow to take it up before the start or cancellation counts as lost. */
const lostAfterMs = 5_000;

/**
 * Repeats starts and cancellations that were lost between the row and Temporal: the two have no common transaction. What is halted is not started.
 * A cancelled run whose workflow does not exist any more is ended here, because nobody else will.
 */
export const createSweep = ({
  database,
  temporal,
  clock,
  logger,
}: {
  database: Database;
  temporal: SweepTemporal;
  clock: () => Date;
  logger: Logger;
}): (() => Promise<void>) => {
  const repeat = async (stale: Run): Promise<void> => {
    // the workflow may have taken it up since the list was read
    const run = await findRun(database, stale);
    if (!run) return;
    const { org, project, fleet, id: runId, attempt, state } = run;
    if (state === 'starting' && !isHalted({ org, project, fleet, run: runId, person: run.startedBy })) {
      await temporal.startFleet({ org, project, fleet, runId, attempt });
      logger.debug({ run: runId, attempt }, 'a start was repeated');
    }
    if (state !== 'cancelling') return;
    if ((await temporal.cancelFleet({ org, project, fleet, runId })) === 'requested') return;
    if (await moveRun(database, run, ['cancelling'], 'cancelled', run.reason)) await cancelOpenAgents(database, run);
    logger.info({ run: runId }, 'a cancelled run without a workflow was ended');
  };

  let isHalted: (what: Haltable) => boolean = () => false;

  return async () => {
    const halts = indexHalts(await listHalts(database));
    isHalted = (what) => halts.find(what) !== undefined;
    for (const stale of await listStaleRuns(database, new Date(clock().getTime() - lostAfterMs)))
      await repeat(stale).catch((error) =>
        logger.warn({ code: toPlatformError(error).code, run: stale.id }, 'a run could not be swept; the next sweep tries again'),
      );
  };
};
