import { type ErrorCode, errorKinds } from '../schema/errors.ts';
import type { ParkReason } from '../schema/run.ts';
import type { Database } from '../store/database.ts';
import { type AgentEnded, park } from './agent-context.ts';

/**
 * Parks an agent whose call failed although it was tried again and again.
 * @param input.code - error code of the last try, where it had one
 */
export const createParkAgent =
  ({ database }: { database: Database }) =>
  ({ agentId, reason, code }: { agentId: string; reason: ParkReason; code: string | null }): Promise<AgentEnded> => {
    const title = code !== null && code in errorKinds ? errorKinds[code as ErrorCode].title : 'The call did not end in time';
    return park(database, agentId, reason, `${title}; it was tried again until its time was over.`);
  };
