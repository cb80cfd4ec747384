import { and, asc, eq, gt, inArray, isNull, sql } from 'drizzle-orm';
import { mcpStreamEvents, mcpStreams } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { lockKeyOf } from './operations.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

/** One event of a stream; `data` is a JSON-RPC message as text. */
export type McpStreamEvent = { sequence: number; data: string };
export type McpStreamRow = typeof mcpStreams.$inferSelect;
/** What one replica writes down of the streams of the requests that it runs. */
export type McpStreamWrites = {
  opened: { id: string; owner: string; requestIds: (string | number)[] }[];
  events: { stream: string; sequence: number; data: string }[];
  ended: string[];
};

export const eventContext = (stream: string, sequence: number): string => `mcp-stream/${stream}/${sequence}`;

/** A row of a sealed event: it opens at this place of this stream only. */
export const sealEvent = (keys: ContentKeys, stream: string, sequence: number, data: string) => ({
  stream,
  sequence,
  message: seal(keys, Buffer.from(data), eventContext(stream, sequence)),
});

/** Says whether a replica of the gateway is gone, for as long as the transaction lasts: Postgres has freed its lock. */
export const isInstanceGone = async (transaction: Executor, instance: string): Promise<boolean> => {
  const { rows } = await transaction.execute<{ free: boolean }>(
    sql`select pg_try_advisory_xact_lock(${lockKeyOf(instance)}::bigint) as free`,
  );
  return rows[0]?.free === true;
};

/** Streams of legacy requests, which a client may take up again at any replica. The replica `instance` writes what its requests say. */
export const createMcpStreamStore = ({ database, keys, instance }: { database: Database; keys: ContentKeys; instance: string }) => {
  const rowsAfter = async (executor: Executor, stream: string, after: number, limit: number): Promise<McpStreamEvent[]> => {
    const rows = await executor
      .select({ sequence: mcpStreamEvents.sequence, message: mcpStreamEvents.message })
      .from(mcpStreamEvents)
      .where(and(eq(mcpStreamEvents.stream, stream), gt(mcpStreamEvents.sequence, after)))
      .orderBy(asc(mcpStreamEvents.sequence))
      .limit(limit);
    return rows.map(({ sequence, message }) => ({ sequence, data: unseal(keys, message, eventContext(stream, sequence)).toString() }));
  };

  return {
    /** Commits a batch. What is for a stream that was deleted, or that another replica has ended, is left out: its client heard otherwise. */
    write: ({ opened, events, ended }: McpStreamWrites, now: Date): Promise<void> =>
      guarded(() =>
        database.transaction(async (transaction) => {
          const isOurs = new Set(opened.map(({ id }) => id));
          const earlier = [...new Set([...events.map(({ stream }) => stream), ...ended])].filter((id) => !isOurs.has(id));
          if (earlier.length > 0) {
            const rows = await transaction
              .select({ id: mcpStreams.id })
              .from(mcpStreams)
              .where(and(inArray(mcpStreams.id, earlier), eq(mcpStreams.gatewayInstance, instance), isNull(mcpStreams.endedAt)))
              .orderBy(mcpStreams.id) // one order for all, so that two replicas do not wait for each other
              .for('update');
            for (const { id } of rows) isOurs.add(id);
          }
          if (opened.length > 0)
            await transaction.insert(mcpStreams).values(opened.map((stream) => ({ ...stream, gatewayInstance: instance, createdAt: now })));
          const rows = events
            .filter(({ stream }) => isOurs.has(stream))
            .map(({ stream, sequence, data }) => ({ ...sealEvent(keys, stream, sequence, data), createdAt: now }));
          if (rows.length > 0) await transaction.insert(mcpStreamEvents).values(rows);
          const ours = ended.filter((id) => isOurs.has(id));
          if (ours.length > 0) await transaction.update(mcpStreams).set({ endedAt: now }).where(inArray(mcpStreams.id, ours));
        }),
      ),

    find: (id: string): Promise<McpStreamRow | undefined> =>
      guarded(async () => (await database.select().from(mcpStreams).where(eq(mcpStreams.id, id)))[0]),

    /** The events behind a place, the oldest first. */
    read: (stream: string, after: number, limit = 64): Promise<McpStreamEvent[]> =>
      guarded(() => rowsAfter(database, stream, after, limit)),

    /**
     * Ends a stream whose replica is gone, once: whoever asks later finds it ended.
     * @param after - the last event that the client has seen, which may never have been committed
     * @param render - what to say at the end, given the ids of the stream's requests and all that was said
     * @returns whether the stream has ended now; false while its replica lives
     */
    endLost: (
      id: string,
      { after, now, render }: { after: number; now: Date; render: (requestIds: (string | number)[], said: string[]) => string[] },
    ): Promise<boolean> =>
      guarded(() =>
        database.transaction(async (transaction) => {
          const [row] = await transaction.select().from(mcpStreams).where(eq(mcpStreams.id, id)).for('update');
          if (!row || row.endedAt) return true;
          if (row.gatewayInstance === instance || !(await isInstanceGone(transaction, row.gatewayInstance))) return false;
          const said = await rowsAfter(transaction, id, 0, 10_000);
          const last = Math.max(after, said.at(-1)?.sequence ?? 0);
          const data = render(
            row.requestIds,
            said.map((event) => event.data),
          );
          const rows = data.map((text, index) => ({ ...sealEvent(keys, id, last + index + 1, text), createdAt: now }));
          if (rows.length > 0) await transaction.insert(mcpStreamEvents).values(rows);
          await transaction.update(mcpStreams).set({ endedAt: now, gatewayInstance: instance }).where(eq(mcpStreams.id, id));
          return true;
        }),
      ),
  };
};
export type McpStreamStore = ReturnType<typeof createMcpStreamStore>;
