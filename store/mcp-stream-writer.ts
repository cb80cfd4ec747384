import { isPlatformError } from '../schema/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { McpStreamStore, McpStreamWrites } from './mcp-streams.ts';

type Write = {
  stream: string;
  opened?: { owner: string; requestIds: (string | number)[] };
  event?: { sequence: number; data: string };
  ended?: boolean;
};

/** In one commit at most. */
const mostWrites = 500;
const mostCharacters = 8_388_608;

/**
 * Writes down streams of requests without their waiting for it: whatever came while one batch was being committed goes into the next,
 * in order. While the database is away everything is kept and tried again.
 * @param options.onCommitted - up to which event streams are now there for all replicas; also of those that were refused, as nothing
 * more becomes of them
 */
export const createMcpStreamWriter = ({
  store,
  logger,
  now,
  onCommitted,
  retryDelayMs = 500,
}: {
  store: McpStreamStore;
  logger: Logger;
  now: () => number;
  onCommitted: (places: ReadonlyMap<string, number>) => void;
  retryDelayMs?: number;
}) => {
  let pending: Write[] = [];
  let writing: Promise<void> | undefined;
  let closed = false;

  const takeBatch = (): Write[] => {
    let characters = 0;
    let length = 0;
    while (length < Math.min(pending.length, mostWrites) && characters < mostCharacters) {
      characters += pending[length]?.event?.data.length ?? 0;
      length += 1;
    }
    return pending.slice(0, length);
  };
  const writesOf = (batch: Write[]): McpStreamWrites => ({
    opened: batch.flatMap(({ stream, opened }) => (opened ? [{ id: stream, ...opened }] : [])),
    events: batch.flatMap(({ stream, event }) => (event ? [{ stream, ...event }] : [])),
    ended: batch.flatMap(({ stream, ended }) => (ended ? [stream] : [])),
  });

  const placesOf = (batch: Write[]): Map<string, number> => {
    const places = new Map<string, number>();
    for (const { stream, event } of batch) places.set(stream, event?.sequence ?? places.get(stream) ?? 0);
    return places;
  };

  const flush = async (): Promise<void> => {
    while (pending.length > 0) {
      const batch = takeBatch();
      try {
        await store.write(writesOf(batch), new Date(now()));
      } catch (error) {
        if (isPlatformError(error) && error.code === 'store_unavailable' && !closed) {
          logger.warn({ waiting: pending.length }, 'events of streams could not be written; they are kept and tried again');
          await new Promise((resolve) => setTimeout(resolve, retryDelayMs));
          continue;
        }
        logger.error({ err: error, writes: batch.length }, 'events of streams were refused; those streams cannot be taken up again');
      }
      pending = pending.slice(batch.length);
      onCommitted(placesOf(batch));
    }
    writing = undefined;
  };
  const write = (piece: Write): void => {
    pending.push(piece);
    // in a turn of its own, so that what one turn says of many streams is one batch
    writing ??= Promise.resolve().then(flush);
  };

  return {
    open: (stream: string, owner: string, requestIds: (string | number)[]): void => write({ stream, opened: { owner, requestIds } }),
    append: (stream: string, sequence: number, data: string): void => write({ stream, event: { sequence, data } }),
    end: (stream: string): void => write({ stream, ended: true }),
    /** Waits until what was said before is committed; does not wait for a database that is away. */
    close: async (): Promise<void> => {
      closed = true;
      while (writing) await writing;
    },
  };
};
export type McpStreamWriter = ReturnType<typeof createMcpStreamWriter>;
