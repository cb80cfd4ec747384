import { endAgent, getAgent } from '../store/agents.ts';
import type { Database } from '../store/database.ts';
import { endOf } from './agent-context.ts';

/**
 * Ends the rows that a shard's agents left open: when they were cancelled, or when a workflow was ended by hand. After this no agent of
 * the shard is at work.
 */
export const createCloseShard =
  ({ database }: { database: Database }) =>
  async ({ agentIds, cancelled }: { agentIds: string[]; cancelled: boolean }): Promise<void> => {
    for (const agentId of agentIds) {
      if (endOf(await getAgent(database, agentId))) continue;
      await endAgent(
        database,
        agentId,
        cancelled
          ? { state: 'cancelled' }
          : {
              state: 'parked',
              reason: 'model_failed',
              detail: 'The workflow of the agent ended before the agent did; resume it to go on.',
            },
      );
    }
  };
