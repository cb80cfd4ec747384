import { PlatformError } from '../../schema/errors.ts';
import { endedRunStates, type ResumeRun } from '../../schema/run.ts';
import { traceIdOfRun } from '../../schema/trace.ts';
import { listAgents, unparkAgents } from '../../store/agents.ts';
import type { Person } from '../../store/people.ts';
import { getRun, markRunRevoked, moveRun, type Run, type RunKey, reopenRun } from '../../store/runs.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { recordChange } from './record-change.ts';
import { refuseHalted } from './refuse-halted.ts';

type Dependencies = ApiDependencies & { permit: Permit };

/** What may be asked of a run is decided about its fleet. */
const findForChange = async ({ database, permit }: Dependencies, person: Person, key: RunKey) => {
  const run = await getRun(database, key);
  return { run, decision: await permit(person, 'manageRun', key, { kind: 'Fleet', name: run.fleet }) };
};

/**
 * Cancels a run; asking again is harmless. What Temporal does not take is repeated by the controller's sweep.
 * @throws {PlatformError} `run_ended`, `not_found`, `not_permitted`
 */
export const cancelRun = async (dependencies: Dependencies, person: Person, key: RunKey): Promise<Run> => {
  const { database, audit, temporal, logger } = dependencies;
  const { run, decision } = await findForChange(dependencies, person, key);
  const hasMoved = await moveRun(database, key, ['starting', 'running'], 'cancelling', `cancelled by ${person.id}`);
  const current = await getRun(database, key);
  if (endedRunStates.includes(current.state))
    throw new PlatformError('run_ended', `The run ${key.id} has ended as ${current.state}; there is nothing to cancel.`);
  if (hasMoved)
    await recordChange(audit, database, run, person, decision, {
      action: 'cancelRun',
      fleet: run.fleet,
      run: run.id,
      traceId: traceIdOfRun(run.id),
    });
  const { org, project, fleet, id: runId } = run;
  await temporal
    .cancelFleet({ org, project, fleet, runId })
    .catch((error) =>
      logger.warn({ cause: describeCause(error), run: runId }, 'the cancellation of a run was not taken; the sweep repeats it'),
    );
  return getRun(database, key);
};

/**
 * Revokes a run: from now on each token of its agents is refused, whatever it says and whoever holds it, and no more are made. A run that is
 * under way is cancelled; one that has ended is never resumed. Asking again is harmless.
 * @throws {PlatformError} `not_found`, `not_permitted`
 */
export const revokeRun = async (dependencies: Dependencies, person: Person, key: RunKey): Promise<Run> => {
  const { database, audit, temporal, logger } = dependencies;
  const { run, decision } = await findForChange(dependencies, person, key);
  const { org, project, fleet, id: runId } = run;
  const isCancelled = await inTransaction(database, async (within) => {
    if (!(await markRunRevoked(within, key))) return false;
    const hasMoved = await moveRun(within, key, ['starting', 'running'], 'cancelling', `revoked by ${person.id}`);
    const what = { action: 'revokeRun', fleet, run: runId, traceId: traceIdOfRun(runId), facts: { cancelled: hasMoved } };
    await recordChange(audit, within, run, person, decision, what);
    return hasMoved;
  });
  if (isCancelled)
    await temporal
      .cancelFleet({ org, project, fleet, runId })
      .catch((error) =>
        logger.warn({ cause: describeCause(error), run: runId }, 'the cancellation of a revoked run was not taken; the sweep repeats it'),
      );
  return getRun(database, key);
};

/**
 * Reopens an ended run for its parked agents, with more of what they ran out of.
 * @throws {PlatformError} `conflict` when the run is not ended as partial or failed, or has no such agent; `input_invalid`
 */
export const resumeRun = async (dependencies: Dependencies, person: Person, key: RunKey, resume: ResumeRun): Promise<Run> => {
  const { database, audit, temporal, logger } = dependencies;
  const { run, decision } = await findForChange(dependencies, person, key);
  await refuseHalted(database, { ...key, fleet: run.fleet, run: run.id, person: run.startedBy });
  const parked = (await listAgents(database, key)).filter(({ state }) => state === 'parked' || state === 'failed').map(({ id }) => id);
  const strangers = resume.agents?.filter((id) => !parked.includes(id)) ?? [];
  if (strangers.length > 0) throw new PlatformError('input_invalid', `${strangers.join(', ')}: no parked agent of the run ${key.id}.`);
  if (run.revokedAt)
    throw new PlatformError('conflict', `The run ${key.id} was revoked, so its agents get no tokens; launch the fleet anew.`);
  if (!['partial', 'failed'].includes(run.state))
    throw new PlatformError('conflict', `The run ${key.id} is ${run.state}; only a run that ended as partial or failed is resumed.`);
  if (parked.length === 0) throw new PlatformError('conflict', `The run ${key.id} has no parked agent; launch the fleet anew.`);
  // the one conditional update: of two people who resume at once, one comes too late
  if (!(await reopenRun(database, key)))
    throw new PlatformError('conflict', `The run ${key.id} was resumed or changed by somebody else at the same moment.`);
  const agents = await unparkAgents(database, key, resume);
  const { addSteps, addCalls, addTokens, addSeconds } = resume;
  await recordChange(audit, database, run, person, decision, {
    action: 'resumeRun',
    fleet: run.fleet,
    run: run.id,
    facts: { agents, addSteps, addCalls, addTokens, addSeconds },
  });
  const reopened = await getRun(database, key);
  const { org, project, fleet, attempt } = reopened;
  await temporal
    .startFleet({ org, project, fleet, runId: key.id, attempt })
    .catch((error) => logger.warn({ cause: describeCause(error), run: key.id }, 'the start of a run was not taken; the sweep repeats it'));
  return reopened;
};
