import { PlatformError } from '../../schema/errors.ts';
import { hasEnded, type McpTask, type McpTaskOwner, type McpTaskStore } from '../../store/mcp-tasks.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Reply } from '../mcp/message.ts';
import { rpcErrorOf } from './error-reply.ts';

/** What everybody is told of a task that is not theirs, not there, or of a tool that they have no more. */
export const taskNotFound = (): PlatformError => new PlatformError('request_invalid', 'Failed to retrieve task: Task not found');

const lost = ({ operationId }: McpTask): PlatformError =>
  operationId === null
    ? new PlatformError('replica_lost', 'The replica of the gateway that ran the call is gone; what became of the call is not known.')
    : new PlatformError(
        'operation_unknown',
        `The replica of the gateway that ran the call is gone, and it is not known whether operation ${operationId} took effect, so it is not tried again. A person has to look.`,
        { facts: { operationId } },
      );

/**
 * A task or parked call as the database has it, whichever replica runs it. One whose replica is gone ends here: with the outcome of
 * its operation where that was committed, else as one of which nothing is known.
 * @param outcomeOf - what became of an operation, where that is known
 */
export const findTask = async (
  { now }: Pick<GatewayContext, 'now'>,
  store: McpTaskStore,
  id: string,
  owner: McpTaskOwner,
  outcomeOf: (task: McpTask) => Promise<Reply | undefined>,
): Promise<McpTask | undefined> => {
  const task = await store.find(id, owner, new Date(now()));
  if (!task || hasEnded(task) || task.content.upstream) return task;
  return store.endLost(id, owner, new Date(now()), async (open) => {
    const outcome = await outcomeOf(open);
    const asked = open.content.asked ? { asked: open.content.asked } : {};
    if (outcome?.kind === 'result') return { status: 'completed', content: { ...asked, result: outcome.result } };
    return { status: 'failed', content: { ...asked, error: outcome?.error ?? rpcErrorOf(lost(open)) } };
  });
};
