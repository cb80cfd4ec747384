import { isPlatformError } from '../schema/errors.ts';
import { haltLifted } from '../schema/workflow-contract.ts';
import { beginWait } from '../store/agents.ts';
import type { Database } from '../store/database.ts';

/**
 * A call that people have to approve first, or that waits until they lift what is halted (`approvalId` is `haltLifted`): the workflow waits
 * to be told, at most `waitMs`, and makes the call again.
 */
export type AgentWaits = { kind: 'waits'; approvalId: string; waitMs: number };

/** So much later than the approval's end, which is counted by the database's clock, the call is made again to hear of it. */
const marginMs = 2_000;
const shortestWaitMs = 1_000;
/** So long at most an agent waits without asking again whether it is still halted: it is told when it is not. */
const haltWaitMs = 300_000;

/** Puts down that an agent waits where a call was refused because it is halted; undefined for any other error. */
export const waitForLift = async (database: Database, agentId: string, error: unknown): Promise<AgentWaits | undefined> => {
  if (!isPlatformError(error) || error.code !== 'halted') return undefined;
  await beginWait(database, agentId, null);
  return { kind: 'waits', approvalId: haltLifted, waitMs: haltWaitMs };
};

/** Puts down that an agent waits where a call was refused because people have to approve it; undefined for any other error. */
export const waitForPerson = async (database: Database, agentId: string, error: unknown): Promise<AgentWaits | undefined> => {
  if (!isPlatformError(error) || error.code !== 'needs_person') return undefined;
  const { approvalId, expiresAt } = error.facts;
  if (typeof approvalId !== 'string' || typeof expiresAt !== 'string') return undefined;
  await beginWait(database, agentId, approvalId);
  return { kind: 'waits', approvalId, waitMs: Math.max(shortestWaitMs, Date.parse(expiresAt) - Date.now() + marginMs) };
};
