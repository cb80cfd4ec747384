import type { McpStreamEvent } from '../../store/mcp-streams.ts';
import type { SseWriter } from '../edge/sse-writer.ts';
import type { Bell } from './create-bell.ts';
import { eventId } from './event-id.ts';

/** The events behind a place; `isComplete` says that nothing comes behind them. */
export type EventPage = { events: readonly McpStreamEvent[]; isComplete: boolean };

/**
 * Sends a stream's events to one connection, in order and each once, at the reader's pace, until the stream or the connection ends.
 * @param options.after - the last event that the client has
 * @param options.page - what there is behind a place; empty when nothing is there yet
 * @param options.bell - rung when there may be more, and when the connection is gone
 * @param options.lookMs - looks by itself after so long without a ring
 * @param options.onSent - called when the reader has taken an event, or is gone
 */
export const sendEvents = async ({
  stream,
  after,
  page,
  writer,
  bell,
  lookMs,
  onSent,
}: {
  stream: string;
  after: number;
  page: (after: number) => EventPage | Promise<EventPage>;
  writer: SseWriter;
  bell: Bell;
  lookMs?: number;
  onSent?: (sequence: number) => void;
}): Promise<void> => {
  let place = after;
  while (writer.isOpen) {
    const read = page(place);
    const { events, isComplete } = read instanceof Promise ? await read : read;
    for (const { sequence, data } of events) {
      if (!writer.isOpen) return;
      await writer.send(data, { id: eventId(stream, sequence) });
      place = sequence;
      onSent?.(place);
    }
    if (isComplete) return writer.end();
    if (events.length === 0) await bell.wait(lookMs);
  }
};
