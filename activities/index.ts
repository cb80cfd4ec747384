import type { WorkflowClient } from '@temporalio/client';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import type { Logger } from '../telemetry/logger.ts';
import { redactor } from '../telemetry/redactor.ts';
import { createCallModel } from './call-model.ts';
import { createCallTool } from './call-tool.ts';
import { createCloseShard } from './close-shard.ts';
import { withFailures } from './failures.ts';
import { createCancelRun, createFinishRun } from './finish-run.ts';
import type { GatewayClient } from './gateway-client.ts';
import { createOpenAgent } from './open-agent.ts';
import { createOpenRun } from './open-run.ts';
import { createParkAgent } from './park-agent.ts';
import { createPrepareStage, openShardsOf, type StageKey } from './prepare-stage.ts';
import { createReconcileActivities, type ReconcileActivities } from './reconcile-activities.ts';
import type { ReconcileCollaborators } from './reconcile-context.ts';
import { createDiagnosis } from './reconcile-diagnose.ts';
import { createDiagnoseFix } from './reconcile-diagnose-fix.ts';
import { createStartShard } from './start-shard.ts';
import { createTranscriptStore } from './transcript-store.ts';

export { createGatewayClient, type GatewayClient } from './gateway-client.ts';
export { createRunTokens, type RunTokens } from './run-tokens.ts';
export { createFileProofs, createJoinedProofs, type WorkerProofs } from './worker-proof.ts';

export type ActivityCollaborators = {
  database: Database;
  contents: ContentStore;
  gateway: GatewayClient;
  /** Starts shards; `new Client({ connection, namespace }).workflow`. */
  workflows: WorkflowClient;
  logger: Logger;
  /** How long a fleet waits for a signal of its shards before it asks the rows, at first. */
  recheckMs?: number;
  /** What the reconciler works with, where this worker reaches targets. */
  reconcile?: Omit<ReconcileCollaborators, 'database' | 'contents'>;
  /** Takes secrets out of text; telemetry's `redactor.text`. */
  redact?: (text: string) => string;
};

type RunCollaborators = Pick<ActivityCollaborators, 'database' | 'contents' | 'gateway' | 'workflows'> & { recheckMs: number };

/** Of runs and their agents. */
const createRunActivities = ({ database, contents, gateway, workflows, recheckMs }: RunCollaborators) => {
  const agent = { database, contents, transcripts: createTranscriptStore(contents), gateway };
  return {
    openRun: createOpenRun({ database, recheckMs }),
    prepareStage: createPrepareStage({ database, contents }),
    startShard: createStartShard({ database, workflows }),
    loadOpenShards: (key: StageKey): Promise<number[]> => openShardsOf(database, key),
    closeShard: createCloseShard({ database }),
    finishRun: createFinishRun({ database, contents }),
    cancelRun: createCancelRun({ database }),
    openAgent: createOpenAgent(agent),
    callModel: createCallModel(agent),
    callTool: createCallTool(agent),
    parkAgent: createParkAgent({ database }),
  };
};
export type RunActivities = ReturnType<typeof createRunActivities>;

/**
 * What workflows know of the activities: names, inputs, results. Those of the reconciler are there where a worker reaches targets; the queue
 * `apply` is served by such workers alone.
 */
export type Activities = RunActivities & { diagnoseFix: ReturnType<typeof createDiagnoseFix> } & ReconcileActivities;

/** All activities, by the names under which workflows call them. Each task queue may be served by a worker with all of them. */
export const createActivities = (collaborators: ActivityCollaborators): RunActivities & Partial<Activities> => {
  const { database, contents, gateway, logger, recheckMs = 15_000, reconcile, redact = redactor.text } = collaborators;
  const clock = reconcile?.clock ?? (() => new Date());
  const diagnose = createDiagnosis({ database, contents, gateway, redact });
  const activities = {
    ...createRunActivities({ ...collaborators, recheckMs }),
    diagnoseFix: createDiagnoseFix({ database, contents, clock, diagnose }),
    ...(reconcile ? createReconcileActivities({ ...reconcile, database, contents }) : {}),
  };
  return withFailures(activities, logger);
};
