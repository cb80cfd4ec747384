import { setTimeout as delay } from 'node:timers/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { McpBus } from '../../store/mcp-bus.ts';
import { createMcpStreamWriter } from '../../store/mcp-stream-writer.ts';
import type { McpStreamRow, McpStreamStore } from '../../store/mcp-streams.ts';
import { SseWriter } from '../edge/sse-writer.ts';
import { rpcErrorOf } from '../exchange/error-reply.ts';
import type { HttpAnswer } from '../front/http-exchange.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { RequestId } from '../mcp/message.ts';
import { createBell } from './create-bell.ts';
import { eventId, newStreamId } from './event-id.ts';
import type { LegacyLimits } from './legacy-limits.ts';
import { RequestStream } from './request-stream.ts';
import { type EventPage, sendEvents } from './send-events.ts';

/**
 * A reader that goes on behind an event. `isPrimed`: it takes an event without data, which tells it where it is; `watch` calls `end` when
 * it may read no longer.
 */
export type Resumption = {
  stream: string;
  sequence: number;
  owner: string;
  isPrimed: boolean;
  response: HttpAnswer;
  watch(end: () => void): void;
};

const pageSize = 64;

/** What becomes of the requests of a stream whose replica is gone: each that was not answered gets an error. */
export const renderLost = (requestIds: RequestId[], said: string[]): string[] => {
  const answered = new Set(
    said.flatMap((text) => {
      const message = JSON.parse(text);
      return 'method' in message ? [] : [message.id];
    }),
  );
  const error = rpcErrorOf(
    new PlatformError('replica_lost', 'The part of the gateway that ran this request is gone; it is not known whether it took effect.'),
  );
  return requestIds.filter((id) => !answered.has(id)).map((id) => JSON.stringify({ jsonrpc: '2.0', id, error }));
};

/** The streams of requests: those that this replica runs, and readers here of those that other replicas run. */
export const createRequestStreams = ({
  context: { logger, now },
  store,
  bus,
  limits,
}: {
  context: Pick<GatewayContext, 'logger' | 'now'>;
  store: McpStreamStore;
  bus: () => Pick<McpBus, 'tell'>;
  limits: LegacyLimits;
}) => {
  const running = new Map<string, RequestStream>();
  /** Streams of ours that another replica sends to somebody. */
  const followed = new Set<string>();
  /** Readers here of other replicas' streams. */
  const followers = new Map<string, Set<() => void>>();

  const streamWriter = createMcpStreamWriter({
    store,
    logger,
    now,
    onCommitted: (places) => {
      const tell: string[] = [];
      for (const [id, sequence] of places) {
        const stream = running.get(id);
        stream?.onCommitted(sequence);
        if (followed.has(id)) tell.push(id);
        if (stream?.isStored) {
          running.delete(id);
          followed.delete(id);
        }
      }
      if (tell.length > 0) bus().tell({ kind: 'events', streams: tell.slice(0, 100) });
    },
  });

  const pageOf = async (id: string, after: number): Promise<EventPage> => {
    // in this order: what is said to have ended is complete by then
    const row = await store.find(id);
    const events = row ? await store.read(id, after, pageSize) : [];
    const hasEnded = !row || row.endedAt !== null;
    if (events.length === 0 && !hasEnded && (await store.endLost(id, { after, now: new Date(now()), render: renderLost })))
      return pageOf(id, after);
    return { events, isComplete: hasEnded && events.length < pageSize };
  };

  const begin = ({ response, isPrimed, stream, sequence, watch }: Resumption): SseWriter => {
    const writer = new SseWriter(response);
    watch(() => writer.end());
    if (isPrimed) void writer.send('', { id: eventId(stream, sequence) });
    else writer.comment();
    return writer;
  };

  const follow = async (resumption: Resumption): Promise<void> => {
    const { stream, sequence, response } = resumption;
    const bell = createBell();
    const rings = followers.get(stream) ?? new Set();
    followers.set(stream, rings.add(bell.ring));
    response.once('close', () => {
      rings.delete(bell.ring);
      if (rings.size === 0) followers.delete(stream);
      bell.ring();
    });
    bus().tell({ kind: 'follow', stream });
    const writer = begin(resumption);
    try {
      await sendEvents({ stream, after: sequence, page: (after) => pageOf(stream, after), writer, bell, lookMs: limits.lookMs });
    } catch (error) {
      logger.warn({ err: error }, 'a stream could not be read; its client may take it up again');
      writer.end();
    }
  };

  /** Waits a little for one whose first commit is under way. */
  const findRow = async (id: string): Promise<McpStreamRow | undefined> => {
    for (let waitedMs = 0; ; waitedMs += 100) {
      const row = await store.find(id);
      if (row || waitedMs >= limits.commitMs) return row;
      await delay(100);
    }
  };

  return {
    /** Begins the stream of some requests. */
    open: (owner: string, requestIds: RequestId[]): RequestStream => {
      const id = newStreamId();
      const stream = new RequestStream({ id, owner, streamWriter, readStored: (after) => store.read(id, after, pageSize), limits });
      running.set(id, stream);
      streamWriter.open(id, owner, requestIds);
      return stream;
    },

    /**
     * Answers a reader that goes on with a stream, whichever replica runs it.
     * @returns `over` when nothing is left to be sent, `unknown` when it is no stream of this owner; nothing was answered then
     */
    resume: async (resumption: Resumption): Promise<'sending' | 'over' | 'unknown'> => {
      const { stream: id, sequence, owner, response } = resumption;
      const stream = running.get(id);
      if (stream) {
        if (stream.owner !== owner || sequence > stream.lastSequence) return 'unknown';
        if (stream.hasEnded && sequence === stream.lastSequence) return 'over';
        void stream.attach(begin(resumption), response, sequence);
        return 'sending';
      }
      const row = await findRow(id);
      if (row?.owner !== owner || row.kind !== 'request') return 'unknown';
      if (row.endedAt && (await store.read(id, sequence, 1)).length === 0) return 'over';
      if (!response.destroyed) void follow(resumption);
      return 'sending';
    },

    onFollow: (stream: string): void => {
      if (running.has(stream)) followed.add(stream);
    },
    onEvents: (streams: readonly string[]): void => {
      for (const stream of streams) for (const ring of followers.get(stream) ?? []) ring();
    },
    /** Waits until what was said is written down. */
    close: (): Promise<void> => streamWriter.close(),
  };
};
export type RequestStreams = ReturnType<typeof createRequestStreams>;
