const lineFeed = 10;
const carriageReturn = 13;

/** Thrown where an event does not end. */
export class EventTooLarge extends Error {}

/**
 * Cuts a stream of server-sent events into whole events, each with its own bytes and the blank line that ends it, wherever the chunks are
 * cut. Lines end with LF or CRLF; a CR alone, which nobody sends, does not end one.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export const createEventSplitter = (mostBytes: number) => {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let isLineBlank = true;

  return {
    /** @returns the events that this chunk completes; @throws {EventTooLarge} */
    push: (chunk: Buffer): Buffer[] => {
      const events: Buffer[] = [];
      let start = 0;
      for (let index = 0; index < chunk.length; index += 1) {
        const byte = chunk[index];
        if (byte === carriageReturn) continue;
        if (byte !== lineFeed) {
          isLineBlank = false;
          continue;
        }
        if (isLineBlank) {
          events.push(Buffer.concat([...kept, chunk.subarray(start, index + 1)]));
          kept = [];
          keptBytes = 0;
          start = index + 1;
        }
        isLineBlank = true;
      }
      if (start < chunk.length) {
        kept.push(chunk.subarray(start));
        keptBytes += chunk.length - start;
        if (keptBytes > mostBytes) throw new EventTooLarge(`an event is larger than ${mostBytes} bytes`);
      }
      return events;
    },
    /** What came after the last blank line. */
    rest: (): Buffer => Buffer.concat(kept),
  };
};
