import { and, eq, inArray, isNotNull, isNull, lte, ne, sql } from 'drizzle-orm';
import { mcpSessions, mcpStreamEvents, mcpStreams } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** How much one step of a sweep takes at most, so that it holds no lock for long. */
const mostAtOnce = 1000;

/** Deletes what of legacy sessions and streams nobody can ask for any more. Safe to run at several replicas at once. */
export const createMcpSweepStore = (database: Database) => {
  const removeStreams = async (ids: string[]): Promise<void> => {
    if (ids.length === 0) return;
    await database.transaction(async (transaction) => {
      // the streams first: their writers look for them before they write
      await transaction.delete(mcpStreams).where(inArray(mcpStreams.id, ids));
      await transaction.delete(mcpStreamEvents).where(inArray(mcpStreamEvents.stream, ids));
    });
  };

  return {
    /** All streams of an owner, e.g. of a session that ended. */
    removeStreamsOf: (owner: string): Promise<void> =>
      guarded(async () => {
        const rows = await database.select({ id: mcpStreams.id }).from(mcpStreams).where(eq(mcpStreams.owner, owner));
        await removeStreams(rows.map(({ id }) => id));
      }),

    /** Streams of requests that ended before an instant. @returns whether there may be more */
    removeEnded: (before: Date): Promise<boolean> =>
      guarded(async () => {
        const rows = await database
          .select({ id: mcpStreams.id })
          .from(mcpStreams)
          .where(and(isNotNull(mcpStreams.endedAt), lte(mcpStreams.endedAt, before)))
          .limit(mostAtOnce);
        await removeStreams(rows.map(({ id }) => id));
        return rows.length === mostAtOnce;
      }),

    /** Streams of requests of other replicas that began before an instant and have not ended. */
    unended: (instance: string, before: Date): Promise<string[]> =>
      guarded(async () => {
        const rows = await database
          .select({ id: mcpStreams.id })
          .from(mcpStreams)
          .where(
            and(
              eq(mcpStreams.kind, 'request'),
              isNull(mcpStreams.endedAt),
              lte(mcpStreams.createdAt, before),
              ne(mcpStreams.gatewayInstance, instance),
            ),
          )
          .limit(mostAtOnce);
        return rows.map(({ id }) => id);
      }),

    /** Events of standing streams that are older than `eventsBefore`, and standing streams that nobody has read since `unreadBefore`. */
    removeUnread: ({ eventsBefore, unreadBefore }: { eventsBefore: Date; unreadBefore: Date }): Promise<void> =>
      guarded(async () => {
        await database.execute(
          sql`delete from ${mcpStreamEvents} using ${mcpStreams} where ${mcpStreams.id} = ${mcpStreamEvents.stream}
            and ${mcpStreams.kind} = 'standing' and ${mcpStreamEvents.createdAt} <= ${eventsBefore.toISOString()}`,
        );
        const rows = await database
          .select({ id: mcpStreams.id })
          .from(mcpStreams)
          .where(and(eq(mcpStreams.kind, 'standing'), isNotNull(mcpStreams.detachedAt), lte(mcpStreams.detachedAt, unreadBefore)))
          .limit(mostAtOnce);
        await removeStreams(rows.map(({ id }) => id));
      }),

    /** Ends sessions of HTTP+SSE whose stream nobody has read since an instant: there they end with their connection. @returns their ids */
    removeLeft: (before: Date): Promise<string[]> =>
      guarded(async () => {
        const rows = await database
          .delete(mcpSessions)
          .where(
            and(
              eq(mcpSessions.transport, 'sse'),
              lte(mcpSessions.createdAt, before),
              sql`not exists (select from ${mcpStreams} where ${mcpStreams.owner} = ${mcpSessions.id}
                and (${mcpStreams.detachedAt} is null or ${mcpStreams.detachedAt} > ${before.toISOString()}))`,
            ),
          )
          .returning({ id: mcpSessions.id });
        return rows.map(({ id }) => id);
      }),
  };
};
export type McpSweepStore = ReturnType<typeof createMcpSweepStore>;
