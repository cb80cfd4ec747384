import type { McpTask } from '../../store/mcp-tasks.ts';
import type { JsonObject } from '../mcp/message.ts';

/** How often a client should ask, where it is not told. */
const pollIntervalMs = 500;

export type TaskSnapshot = Pick<McpTask, 'id' | 'status' | 'content' | 'createdAt' | 'updatedAt' | 'ttlMs'>;

/** What `tools/call` answers where the call has become a task. @see https://modelcontextprotocol.io/extensions/tasks/overview */
export const createdTask = ({ id, status, createdAt, updatedAt, ttlMs }: TaskSnapshot): JsonObject => ({
  resultType: 'task',
  taskId: id,
  status,
  createdAt: createdAt.toISOString(),
  lastUpdatedAt: updatedAt.toISOString(),
  ttlMs,
  pollIntervalMs,
});

/** What `tasks/get` answers, and `notifications/tasks` says. */
export const detailedTask = (task: TaskSnapshot): JsonObject => {
  const { status, content } = task;
  const { resultType: _type, ...shown } = createdTask(task);
  switch (status) {
    case 'input_required':
      return { ...shown, inputRequests: content.inputRequests ?? {} };
    case 'completed':
      return { ...shown, result: content.result ?? {} };
    case 'failed':
      return { ...shown, statusMessage: content.error?.message ?? '', error: content.error ?? {} };
    default:
      return shown;
  }
};
