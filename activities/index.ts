import type { WorkflowClient } from '@temporalio/client';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import type { Logger } from '../telemetry/logger.ts';
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
};

/** All activities, by the names under which workflows call them. Each task queue may be served by a worker with all of them. */
export const createActivities = ({ database, contents, gateway, workflows, logger, recheckMs = 15_000 }: ActivityCollaborators) => {
  const agent = { database, contents, transcripts: createTranscriptStore(contents), gateway };
  return withFailures(
    {
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
    },
    logger,
  );
};

/** What workflows know of the activities: names, inputs, results. */
export type Activities = ReturnType<typeof createActivities>;
