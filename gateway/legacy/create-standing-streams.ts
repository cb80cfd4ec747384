import { PlatformError } from '../../schema/errors.ts';
import type { McpBus } from '../../store/mcp-bus.ts';
import type { StandingMessage, StandingStreamStore } from '../../store/mcp-standing-streams.ts';
import type { McpStreamStore } from '../../store/mcp-streams.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { WatchStream } from '../auth/create-stream-guard.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import { SseWriter } from '../edge/sse-writer.ts';
import { createStandingFeed, type StandingFeed } from './create-standing-feed.ts';
import { eventId, newStreamId } from './event-id.ts';
import type { LegacyLimits } from './legacy-limits.ts';
import { sendEvents } from './send-events.ts';
import type { Session } from './session.ts';

/** A connection that reads a standing stream. `endpoint` is told first to a client of HTTP+SSE: where it sends its messages. */
export type StandingReader = {
  from: EdgeRequest;
  session: Session;
  after?: { stream: string; sequence: number };
  isPrimed: boolean;
  endpoint?: string;
};
type Reader = { session: Session; writer: SseWriter; feed: StandingFeed; sent: number; left: Promise<void> };

/** How many streams are asked about at once. */
const mostAtOnce = 1000;

/**
 * Standing streams of sessions: the connections that this replica holds, and messages for those that any replica holds.
 * @param options.onRead - called when a connection to a session's stream opened; what it returns, when it is gone. `isLost`: the replica
 * that had the stream is gone, and with it what it would have said meanwhile
 */
export const createStandingStreams = ({
  store,
  events,
  instance,
  bus,
  logger,
  limits,
  onRead,
  watchStream,
}: {
  store: StandingStreamStore;
  events: Pick<McpStreamStore, 'read'>;
  instance: string;
  bus: () => Pick<McpBus, 'tell'>;
  logger: Logger;
  limits: LegacyLimits;
  onRead: (from: EdgeRequest, session: Session, isLost: boolean) => () => void;
  watchStream: WatchStream;
}) => {
  const readers = new Map<string, Reader>();
  let isClosing = false;

  /** The client comes back later, to another replica. */
  const sendAway = ({ writer, feed }: Reader): void => {
    writer.retryAfter(limits.retryMs);
    writer.end();
    feed.bell.ring();
  };

  const begin = ({ from, endpoint, isPrimed }: StandingReader, place: string): SseWriter => {
    const writer = new SseWriter(from.response);
    if (endpoint !== undefined) void writer.send(endpoint, { event: 'endpoint', id: place });
    else if (isPrimed) void writer.send('', { id: place });
    else writer.comment();
    return writer;
  };

  const hold = (stream: string, { attachedAt, isLost }: { attachedAt: Date; isLost: boolean }, reading: StandingReader): void => {
    const { from, session, after: { sequence } = { sequence: 0 } } = reading;
    const feed = createStandingFeed((after) => events.read(stream, after));
    const left = Promise.withResolvers<void>();
    const before = readers.get(stream);
    const writer = begin(reading, eventId(stream, sequence));
    const reader: Reader = { session, writer, feed, sent: sequence, left: left.promise };
    readers.set(stream, reader);
    before?.writer.end();
    const onGone = onRead(from, session, isLost);
    const held = { end: () => writer.end() };
    session.readers.add(held);
    watchStream(from, held.end);
    // too many: the oldest is most likely dead and does not know it
    if (session.readers.size > limits.standingStreamsPerSession) [...session.readers][0]?.end();
    from.response.once('close', () => {
      feed.bell.ring();
      session.readers.delete(held);
      if (readers.get(stream) === reader) readers.delete(stream);
      onGone();
      store
        .detach(stream, attachedAt)
        .catch((error) => logger.warn({ err: error }, 'it could not be noted that nobody reads a stream'))
        .finally(left.resolve);
    });
    if (isClosing) sendAway(reader);
    sendEvents({
      stream,
      after: sequence,
      page: feed.page,
      writer,
      bell: feed.bell,
      onSent: (sent) => {
        reader.sent = sent;
      },
    }).catch((error) => {
      logger.warn({ err: error }, 'a standing stream could not be read; its client may take it up again');
      writer.end();
    });
  };

  const append = async (message: StandingMessage): Promise<boolean> => {
    const result = await store.append(message);
    if (result.kind === 'unread') return false;
    const { stream, sequence } = result;
    if (result.instance === instance) readers.get(stream)?.feed.appended({ sequence, data: message.data });
    else bus().tell({ kind: 'events', streams: [stream] });
    return true;
  };

  return {
    /**
     * Answers with a session's stream: a new one, or from where it was left.
     * @returns false when the session has no such stream, or when events are missing; nothing was answered then
     */
    read: async (reading: StandingReader): Promise<boolean> => {
      const { session, from, after } = reading;
      const stream = after?.stream ?? newStreamId();
      const taken = after
        ? await store.attach(stream, session.id, after.sequence)
        : { attachedAt: await store.open(stream, session.id), lastInstance: instance, isLost: false };
      if (!taken) return false;
      if (taken.lastInstance !== instance) bus().tell({ kind: 'taken', stream });
      if (from.response.destroyed) await store.detach(stream, taken.attachedAt);
      else hold(stream, taken, reading);
      return true;
    },

    /** Says something to a session, or keeps it for a client that comes back; without a stream ever opened nobody is told. */
    say: (session: string, data: string, options: { onlyOurs?: boolean } = {}): Promise<boolean> =>
      append({ owner: session, data, ...options }),

    /**
     * Says something that only a reader can do anything with.
     * @throws {PlatformError} `client_unreachable` when no stream is open, or when it takes too long to find one
     */
    sayToReader: async (session: string, data: string): Promise<void> => {
      const unreachable = new PlatformError('client_unreachable', 'The client has no open stream to be asked on; it opens one with GET.');
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(unreachable), limits.unreachableMs * 0.9);
      });
      try {
        if (!(await Promise.race([append({ owner: session, data, needsReader: true }), late]))) throw unreachable;
      } finally {
        clearTimeout(timer);
      }
    },

    onEvents: (streams: readonly string[]): void => {
      for (const stream of streams) readers.get(stream)?.feed.look();
    },
    /** Another replica has the stream now: the connection here is dead, or soon will be. */
    onTaken: (stream: string): void => readers.get(stream)?.writer.end(),

    /** Looks for events that no notice came of. */
    lookAfterAll: async (): Promise<void> => {
      const places = [...readers].map(([stream, { sent }]) => [stream, sent] as const);
      for (let at = 0; at < places.length; at += mostAtOnce)
        for (const stream of await store.behind(new Map(places.slice(at, at + mostAtOnce)))) readers.get(stream)?.feed.look();
    },

    /** Ends all connections; clients take their streams up again, at another replica. */
    close: async (): Promise<void> => {
      isClosing = true;
      const open = [...readers.values()];
      for (const reader of open) sendAway(reader);
      await Promise.all(open.map(({ left }) => left));
      await store.drained();
    },
  };
};
export type StandingStreams = ReturnType<typeof createStandingStreams>;
