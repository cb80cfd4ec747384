import { and, eq, gt, inArray, lte } from 'drizzle-orm';
import { parseExactly } from '../schema/exact-json.ts';
import { mcpTasks } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { isInstanceGone } from './mcp-streams.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

export type McpTaskStatus = 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';
type Json = Record<string, unknown>;

/** As `policy/argument-facts.ts` has them. */
type ArgumentFacts = { paths: string[]; roots: string[]; urls: string[]; hosts: string[]; canonical: boolean; bytes: number };

/** What a task holds of content. */
export type McpTaskContent = {
  /** Questions by key that the client has not answered yet. */
  inputRequests?: Json;
  result?: Json;
  error?: { code: number; message: string; data?: unknown };
  /** The tool under the name that the client called, and what policy saw of the call: it is asked again before anything is handed over. */
  asked?: { tool: string; server: string; isolation: number; facts: ArgumentFacts /** Where people approved it. */; approvers?: string[] };
  /** A task that a server keeps itself: its own id of it, and the tool under the name that the client called. */
  upstream?: { server: string; taskId: string; tool: string };
};
/** A call that goes on after its request was answered. Only its principal finds it, at its endpoint. */
export type McpTask = Omit<typeof mcpTasks.$inferSelect, 'status' | 'content'> & { status: McpTaskStatus; content: McpTaskContent };
export type NewMcpTask = Omit<McpTask, 'gatewayInstance' | 'updatedAt' | 'expiresAt' | 'statusMessage'>;
export type McpTaskOwner = { principal: string; endpoint: string };
export type McpTaskStore = ReturnType<typeof createMcpTaskStore>;

const isOver: readonly McpTaskStatus[] = ['completed', 'failed', 'cancelled'];
const open: readonly McpTaskStatus[] = ['working', 'input_required'];

export const hasEnded = ({ status }: Pick<McpTask, 'status'>): boolean => isOver.includes(status);

export const taskContext = (id: string): string => `mcp-task/${id}`;

/**
 * Tasks and parked calls. The replica `instance` runs the ones that it inserts and alone writes to them, until it is gone.
 * Instants come from the gateway's clock.
 */
export const createMcpTaskStore = ({
  database,
  keys,
  instance,
  maxPerPrincipal,
}: {
  database: Database;
  keys: ContentKeys;
  instance: string;
  maxPerPrincipal: number;
}) => {
  const sealed = (id: string, content: McpTaskContent): Buffer => seal(keys, Buffer.from(JSON.stringify(content)), taskContext(id));
  const taskOf = (row: typeof mcpTasks.$inferSelect): McpTask => ({
    ...row,
    status: row.status as McpTaskStatus,
    content: row.content ? (parseExactly(unseal(keys, row.content, taskContext(row.id)).toString()) as McpTaskContent) : {},
  });
  const expiryOf = ({ createdAt, ttlMs }: Pick<McpTask, 'createdAt' | 'ttlMs'>): Date => new Date(createdAt.getTime() + ttlMs);
  const owned = (executor: Executor, id: string, { principal, endpoint }: McpTaskOwner, now: Date) =>
    executor
      .select()
      .from(mcpTasks)
      .where(and(eq(mcpTasks.id, id), eq(mcpTasks.principal, principal), eq(mcpTasks.endpoint, endpoint), gt(mcpTasks.expiresAt, now)));

  return {
    /** Commits a new task, unless its principal has as many as it may. */
    insert: (task: NewMcpTask): Promise<boolean> =>
      guarded(() =>
        database.transaction(async (transaction) => {
          const { id, principal, content, createdAt } = task;
          const isOfPrincipal = and(eq(mcpTasks.principal, principal), gt(mcpTasks.expiresAt, createdAt));
          if ((await transaction.$count(mcpTasks, isOfPrincipal)) >= maxPerPrincipal) return false;
          const row = { ...task, content: sealed(id, content), gatewayInstance: instance, updatedAt: createdAt, expiresAt: expiryOf(task) };
          await transaction.insert(mcpTasks).values(row);
          return true;
        }),
      ),

    /** Commits what has become of a task; one that was given up in the meantime stays as it is. */
    update: (task: Pick<McpTask, 'id' | 'status' | 'content' | 'createdAt' | 'ttlMs' | 'updatedAt'>): Promise<void> =>
      guarded(async () => {
        const { id, status, content, ttlMs, updatedAt } = task;
        await database
          .update(mcpTasks)
          .set({ status, content: sealed(id, content), ttlMs, updatedAt, expiresAt: expiryOf(task) })
          .where(and(eq(mcpTasks.id, id), eq(mcpTasks.gatewayInstance, instance), inArray(mcpTasks.status, [...open])));
      }),

    /** For its owner alone; undefined for anybody else, as for an id that there is not. */
    find: (id: string, owner: McpTaskOwner, now: Date): Promise<McpTask | undefined> =>
      guarded(async () => {
        const [row] = await owned(database, id, owner, now);
        return row && taskOf(row);
      }),

    /**
     * Ends a task whose replica is gone, once.
     * @param end - what became of it, as far as anybody can know
     * @returns the task as it is now
     */
    endLost: (
      id: string,
      owner: McpTaskOwner,
      now: Date,
      end: (task: McpTask) => Promise<Pick<McpTask, 'status' | 'content'>>,
    ): Promise<McpTask | undefined> =>
      guarded(() =>
        database.transaction(async (transaction) => {
          const [row] = await owned(transaction, id, owner, now).for('update');
          const task = row && taskOf(row);
          // a task of the server's own needs no replica of ours
          if (!task || hasEnded(task) || task.content.upstream || !(await isInstanceGone(transaction, task.gatewayInstance))) return task;
          const { status, content } = await end(task);
          await transaction
            .update(mcpTasks)
            .set({ status, content: sealed(id, content), updatedAt: now })
            .where(eq(mcpTasks.id, id));
          return { ...task, status, content, updatedAt: now };
        }),
      ),

    /** Deletes what has outlived its time. */
    removeExpired: (now: Date): Promise<void> =>
      guarded(async () => {
        await database.delete(mcpTasks).where(lte(mcpTasks.expiresAt, now));
      }),
  };
};
