import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { RunIdSchema } from '../../schema/ids.ts';
import { ReleaseClientSchema, ReleaseRunSchema, ResumeRunSchema, type RunProgress, StartRunSchema } from '../../schema/run.ts';
import { listAgents } from '../../store/agents.ts';
import { agentSubject, findLabels } from '../../store/flow-labels.ts';
import { getRun, listRuns, type Run, type RunKey } from '../../store/runs.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { cancelRun, resumeRun, revokeRun } from './change-run.ts';
import { launchRun } from './launch-run.ts';
import type { Permit } from './permit.ts';
import { waitingAnswer } from './propose-change.ts';
import { parseAs, readBody, readQuery, tenancyOf } from './read-request.ts';
import { readTranscript } from './read-transcript.ts';
import { type ReleaseOutcome, releaseClient, releaseRun } from './release-labels.ts';
import { progressOf, summaryOf } from './run-progress.ts';

const ListQuerySchema = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) });

/** What is released, or that it waits for others. */
const releaseAnswer = (context: Context<ApiEnvironment>, outcome: ReleaseOutcome): Response =>
  'waiting' in outcome ? context.json(waitingAnswer(outcome.waiting), 202) : context.json(outcome.released);

/** Runs of fleets: launched, listed, watched, cancelled, revoked, resumed; and the transcripts of their agents. */
export const runRoutes = (config: ApiConfig, dependencies: ApiDependencies & { permit: Permit }): Hono<ApiEnvironment> => {
  const { database, permit } = dependencies;
  const routes = new Hono<ApiEnvironment>();
  const keyOf = (context: Context<ApiEnvironment>): RunKey => ({
    ...tenancyOf(context),
    id: parseAs(RunIdSchema, context.req.param('id'), 'run id'),
  });
  const progress = async (run: Run): Promise<RunProgress> => {
    const agents = await listAgents(database, run);
    return progressOf(
      run,
      agents,
      await findLabels(
        database,
        run,
        agents.map(({ id }) => agentSubject(id)),
      ),
    );
  };

  routes.post('/:org/:project/runs', async (context) => {
    const tenancy = tenancyOf(context);
    const request = await readBody(context, StartRunSchema);
    const run = await launchRun(dependencies, config, context.get('person'), tenancy, request);
    return context.json(await progress(run), 201);
  });

  routes.get('/:org/:project/runs', async (context) => {
    const tenancy = tenancyOf(context);
    const { limit } = readQuery(context, ListQuerySchema);
    await permit(context.get('person'), 'getResource', tenancy);
    return context.json({ runs: (await listRuns(database, tenancy, limit)).map(summaryOf) });
  });

  routes.get('/:org/:project/runs/:id', async (context) => {
    const key = keyOf(context);
    await permit(context.get('person'), 'getResource', key);
    return context.json(await progress(await getRun(database, key)));
  });

  routes.post('/:org/:project/runs/:id/cancel', async (context) =>
    context.json(await progress(await cancelRun(dependencies, context.get('person'), keyOf(context))), 202),
  );

  routes.post('/:org/:project/runs/:id/revoke', async (context) =>
    context.json(await progress(await revokeRun(dependencies, context.get('person'), keyOf(context))), 202),
  );

  routes.post('/:org/:project/runs/:id/resume', async (context) => {
    const key = keyOf(context);
    const resume = await readBody(context, ResumeRunSchema);
    return context.json(await progress(await resumeRun(dependencies, context.get('person'), key, resume)), 202);
  });

  routes.post('/:org/:project/runs/:id/release', async (context) => {
    const key = keyOf(context);
    const wanted = await readBody(context, ReleaseRunSchema);
    return releaseAnswer(context, await releaseRun({ ...dependencies, ...config }, context.get('person'), key, wanted));
  });

  routes.post('/:org/:project/clients/release', async (context) => {
    const tenancy = tenancyOf(context);
    const wanted = await readBody(context, ReleaseClientSchema);
    return releaseAnswer(context, await releaseClient({ ...dependencies, ...config }, context.get('person'), tenancy, wanted));
  });

  routes.get('/:org/:project/runs/:id/agents/:agent{.+}/transcript', async (context) => {
    const key = keyOf(context);
    return context.json(await readTranscript(dependencies, context.get('person'), key, context.req.param('agent')));
  });

  return routes;
};
