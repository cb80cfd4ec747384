import { isPlatformError } from '../schema/errors.ts';
import { beginWait } from '../store/agents.ts';
import type { Database } from '../store/database.ts';

/** A call that people have to approve first: the workflow waits for its decision, at most `waitMs`, and makes the call again. */
export type AgentWaits = { kind: 'waits'; approvalId: string; waitMs: number };

/** So much later than the approval's end, which is counted by the database's clock, the call is made again to hear of it. */
const marginMs = 2_000;
const shortestWaitMs = 1_000;

/** Puts down that an agent waits where a call was refused because people have to approve it; undefined for any other error. */
export const waitForPerson = async (database: Database, agentId: string, error: unknown): Promise<AgentWaits | undefined> => {
  if (!isPlatformError(error) || error.code !== 'needs_person') return undefined;
  const { approvalId, expiresAt } = error.facts;
  if (typeof approvalId !== 'string' || typeof expiresAt !== 'string') return undefined;
  await beginWait(database, agentId, approvalId);
  return { kind: 'waits', approvalId, waitMs: Math.max(shortestWaitMs, Date.parse(expiresAt) - Date.now() + marginMs) };
};
