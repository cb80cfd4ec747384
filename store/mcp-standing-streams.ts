import { and, eq, gt, inArray, isNull, or, sql } from 'drizzle-orm';
import { mcpStreamEvents, mcpStreams } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { createGroupCommit } from './group-commit.ts';
import { isInstanceGone, sealEvent } from './mcp-streams.ts';
import type { ContentKeys } from './secrets/seal.ts';

/** What is to be said to a whole session. */
export type StandingMessage = {
  /** The session. */
  owner: string;
  data: string;
  /** Not said, rather than kept, when nobody reads. */
  needsReader?: boolean;
  /** Not said when another replica holds the stream: it hears of the same thing itself. */
  onlyOurs?: boolean;
};
export type StandingResult =
  /** `instance` sends the stream, if anybody reads it. */
  { kind: 'appended'; stream: string; sequence: number; instance: string } | { kind: 'unread' };
type Stream = Pick<typeof mcpStreams.$inferSelect, 'id' | 'owner' | 'gatewayInstance' | 'lastSequence' | 'attachedAt' | 'detachedAt'>;

/**
 * Streams for what belongs to a session and to no request of it. Any replica appends; the one that holds the client's connection reads
 * and sends. Each message goes to one stream: the one that a client attached to last.
 * @param options.keepEvents - of a stream that nobody reads, so many events wait at most
 * @param options.keepMs - and so long
 */
export const createStandingStreamStore = ({
  database,
  keys,
  instance,
  now,
  keepEvents = 256,
  keepMs = 300_000,
}: {
  database: Database;
  keys: ContentKeys;
  instance: string;
  now: () => number;
  keepEvents?: number;
  keepMs?: number;
}) => {
  const markAbandoned = async (transaction: Executor, gone: string[], at: Date): Promise<void> => {
    if (gone.length === 0) return;
    await transaction
      .update(mcpStreams)
      .set({ detachedAt: at })
      .where(and(inArray(mcpStreams.gatewayInstance, gone), eq(mcpStreams.kind, 'standing'), isNull(mcpStreams.detachedAt)));
  };

  const advance = async (transaction: Executor, streams: Stream[]): Promise<void> => {
    if (streams.length === 0) return;
    const places = sql.join(
      streams.map(({ id, lastSequence }) => sql`(${id}, ${lastSequence}::bigint)`),
      sql`, `,
    );
    await transaction.execute(
      sql`update ${mcpStreams} set last_sequence = place.sequence from (values ${places}) as place (id, sequence) where ${mcpStreams.id} = place.id`,
    );
    // only of streams that nobody reads: a reader that is behind gets everything, or is cut off
    const unread = streams.filter(({ detachedAt }) => detachedAt).map(({ id }) => id);
    if (unread.length > 0)
      await transaction.execute(
        sql`delete from ${mcpStreamEvents} using (values ${places}) as place (id, sequence)
          where ${mcpStreamEvents.stream} = place.id and ${inArray(mcpStreamEvents.stream, unread)}
            and ${mcpStreamEvents.sequence} <= place.sequence - ${keepEvents}`,
      );
  };

  const appendBatch = (batch: StandingMessage[]): Promise<StandingResult[]> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        const at = new Date(now());
        const streams: Stream[] = await transaction
          .select()
          .from(mcpStreams)
          .where(
            and(
              inArray(mcpStreams.owner, [...new Set(batch.map(({ owner }) => owner))]),
              eq(mcpStreams.kind, 'standing'),
              isNull(mcpStreams.endedAt),
              or(isNull(mcpStreams.detachedAt), gt(mcpStreams.detachedAt, new Date(now() - keepMs))),
            ),
          )
          .orderBy(mcpStreams.id) // one order for all, so that two replicas do not wait for each other
          .for('update');
        const others = new Set(streams.filter(({ detachedAt }) => !detachedAt).map(({ gatewayInstance }) => gatewayInstance));
        others.delete(instance);
        const gone: string[] = [];
        for (const other of others) if (await isInstanceGone(transaction, other)) gone.push(other);
        await markAbandoned(transaction, gone, at);

        const isRead = (stream: Stream): boolean => stream.detachedAt === null && !gone.includes(stream.gatewayInstance);
        const newest = (left: Stream, right: Stream): number =>
          Number(isRead(right)) - Number(isRead(left)) || (right.attachedAt?.getTime() ?? 0) - (left.attachedAt?.getTime() ?? 0);
        const streamOf = Map.groupBy(streams.toSorted(newest), ({ owner }) => owner);
        const touched = new Set<Stream>();
        const events: ReturnType<typeof sealEvent>[] = [];
        const results = batch.map(({ owner, data, needsReader, onlyOurs }): StandingResult => {
          const stream = streamOf.get(owner)?.[0];
          if (!stream || (needsReader && !isRead(stream)) || (onlyOurs && stream.gatewayInstance !== instance)) return { kind: 'unread' };
          stream.lastSequence += 1;
          touched.add(stream);
          events.push(sealEvent(keys, stream.id, stream.lastSequence, data));
          return { kind: 'appended', stream: stream.id, sequence: stream.lastSequence, instance: stream.gatewayInstance };
        });
        if (events.length > 0) await transaction.insert(mcpStreamEvents).values(events.map((event) => ({ ...event, createdAt: at })));
        await advance(transaction, [...touched]);
        return results;
      }),
    );
  const openBatch = (batch: { id: string; owner: string }[]): Promise<Date[]> =>
    guarded(async () => {
      const attachedAt = new Date(now());
      const rest = { kind: 'standing' as const, gatewayInstance: instance, createdAt: attachedAt, attachedAt };
      await database.insert(mcpStreams).values(batch.map((stream) => ({ ...stream, ...rest })));
      return batch.map(() => attachedAt);
    });
  const detachBatch = (batch: { id: string; attachedAt: Date }[]): Promise<undefined[]> =>
    guarded(async () => {
      const gone = sql.join(
        batch.map(({ id, attachedAt }) => sql`(${id}, ${attachedAt.toISOString()}::timestamptz)`),
        sql`, `,
      );
      await database.execute(
        sql`update ${mcpStreams} set detached_at = ${new Date(now()).toISOString()} from (values ${gone}) as gone (id, attached_at)
          where ${mcpStreams.id} = gone.id and ${mcpStreams.attachedAt} = gone.attached_at`,
      );
      return batch.map(() => undefined);
    });
  // thousands of clients come and go at once when a replica stops
  const appends = createGroupCommit({ flush: appendBatch, maxBatch: 200 });
  const opens = createGroupCommit({ flush: openBatch });
  const detaches = createGroupCommit({ flush: detachBatch });

  return {
    /** Commits a message to a session's stream, at the place where its order among all such messages is decided. */
    append: (message: StandingMessage): Promise<StandingResult> => appends.add(message),

    /** Begins a stream whose client is connected to this replica. @returns since when */
    open: (id: string, owner: string): Promise<Date> => opens.add({ id, owner }),

    /**
     * Goes on with a stream at this replica.
     * @returns undefined when the session has no such stream, or when events behind `after` are no longer kept
     */
    attach: (id: string, owner: string, after: number): Promise<{ attachedAt: Date; lastInstance: string; isLost: boolean } | undefined> =>
      guarded(() =>
        database.transaction(async (transaction) => {
          const [row] = await transaction
            .select()
            .from(mcpStreams)
            .where(and(eq(mcpStreams.id, id), eq(mcpStreams.owner, owner), eq(mcpStreams.kind, 'standing'), isNull(mcpStreams.endedAt)))
            .for('update');
          if (!row || after > row.lastSequence) return undefined;
          const kept = await transaction.$count(mcpStreamEvents, and(eq(mcpStreamEvents.stream, id), gt(mcpStreamEvents.sequence, after)));
          if (kept < row.lastSequence - after) return undefined;
          const isLost = row.gatewayInstance !== instance && (await isInstanceGone(transaction, row.gatewayInstance));
          // never the same instant twice: it tells this connection from the one before
          const attachedAt = new Date(Math.max(now(), (row.attachedAt?.getTime() ?? 0) + 1));
          await transaction
            .update(mcpStreams)
            .set({ gatewayInstance: instance, attachedAt, detachedAt: null })
            .where(eq(mcpStreams.id, id));
          return { attachedAt, lastInstance: row.gatewayInstance, isLost };
        }),
      ),

    /** Notes that a connection is gone; nothing when the client has another one by now. */
    detach: (id: string, attachedAt: Date): Promise<void> => detaches.add({ id, attachedAt }),

    /** Which of some streams have events behind a reader's place. */
    behind: (places: ReadonlyMap<string, number>): Promise<string[]> =>
      guarded(async () => {
        const rows = await database
          .select({ id: mcpStreams.id, lastSequence: mcpStreams.lastSequence })
          .from(mcpStreams)
          .where(inArray(mcpStreams.id, [...places.keys()]));
        return rows.filter(({ id, lastSequence }) => lastSequence > (places.get(id) ?? 0)).map(({ id }) => id);
      }),

    /** Waits until what was appended is committed or refused. */
    drained: appends.drained,
  };
};
export type StandingStreamStore = ReturnType<typeof createStandingStreamStore>;
