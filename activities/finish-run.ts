import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { judgeRun } from '../agents/judge-run.ts';
import { type ErrorCode, errorKinds } from '../schema/errors.ts';
import { endedRunStates, type RunState } from '../schema/run.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import { cancelOpenAgents, getRun, moveRun, type Run, type RunKey, setRunResult } from '../store/runs.ts';
import { planStages, type StagePlan } from './plan-stages.ts';

type Collaborators = { database: Database; contents: ContentStore };

/** The result file of a run, where its fleet declares one; a link in its place does not count. */
const findResult = async (run: Run): Promise<{ path: string; exists: boolean } | undefined> => {
  const name = run.snapshot.fleet.output?.file;
  if (name === undefined || run.outputDirectory === null) return undefined;
  const path = join(run.outputDirectory, name);
  const exists = await lstat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  return { path, exists };
};

/** A file that lay in the folder before the run is not its result: the last stage has to have done something. */
const lastStageDidSomething = ({ stages }: StagePlan, run: Run): boolean =>
  stages.length === run.snapshot.fleet.stages.length && (stages.at(-1)?.agents.some(({ agent }) => agent?.state === 'done') ?? false);

/**
 * Ends a run by what its agents came to: succeeded, partial or failed, with the reason in words and the path of the result.
 * A run that is being cancelled ends as cancelled. What has ended stays as it is.
 * @param input.code - error code for which the fleet's workflow gave up, where it did
 */
export const createFinishRun =
  ({ database, contents }: Collaborators) =>
  async ({ run: key, code }: { run: RunKey; code?: string | null }): Promise<RunState> => {
    const run = await getRun(database, key);
    if (endedRunStates.includes(run.state)) return run.state;
    if (run.state === 'cancelling') {
      await cancelOpenAgents(database, key);
      await moveRun(database, key, ['cancelling'], 'cancelled', run.reason);
      return 'cancelled';
    }
    if (code !== undefined) {
      const title = code !== null && code in errorKinds ? errorKinds[code as ErrorCode].title : 'Something failed inside';
      await cancelOpenAgents(database, key);
      await moveRun(database, key, ['starting', 'running'], 'failed', title);
      return 'failed';
    }
    const plan = await planStages({ database, contents }, run);
    const result = await findResult(run);
    const agents = plan.stages.flatMap((stage) => stage.agents.map(({ agent }) => agent));
    const verdict = judgeRun({
      agents: agents.map((agent) => ({ state: agent?.state ?? 'pending', reason: agent?.reason ?? null })),
      problem: plan.problem,
      missingFile: result && !result.exists ? run.snapshot.fleet.output?.file : undefined,
    });
    if (result?.exists && lastStageDidSomething(plan, run)) await setRunResult(database, key, result.path);
    await moveRun(database, key, ['starting', 'running'], verdict.state, verdict.reason);
    return verdict.state;
  };

/** Ends a run whose workflow was cancelled; agents that are still open end with it. */
export const createCancelRun =
  ({ database }: { database: Database }) =>
  async (key: RunKey): Promise<void> => {
    await cancelOpenAgents(database, key);
    await moveRun(database, key, ['starting', 'running', 'cancelling'], 'cancelled');
  };
