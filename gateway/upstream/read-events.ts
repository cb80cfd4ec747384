const lineFeed = 10;
const carriageReturn = 13;
const colon = 58;
const space = 32;
/** What a line of data takes in memory beside its text, so that many short ones are not more than few long ones. */
const bytesOfLine = 32;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/** One event of a stream; events without data are not told. */
export type ServerEvent = { type: string; data: string };

/**
 * Reads a stream of server-sent events, however it is cut into chunks. `eventId` and `retryMs` are the last that the server gave: where to
 * take the stream up again, and how long to wait before.
 * @param options.onEvent - called while a chunk is pushed, in the order of the events
 * @param options.mostBytes - of one event; a longer one ends the reading
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export const createEventReader = ({ mostBytes, onEvent }: { mostBytes: number; onEvent: (event: ServerEvent) => void }) => {
  let line: Buffer[] = [];
  let bytes = 0;
  let type = '';
  let data: string[] = [];
  let isFirstLine = true;
  let endedInCarriageReturn = false;
  const reader = { eventId: undefined as string | undefined, retryMs: undefined as number | undefined, push };

  const endEvent = (): void => {
    bytes = 0;
    const text = data.length === 1 ? (data[0] ?? '') : data.join('\n');
    const event = { type: type || 'message', data: text };
    type = '';
    data = [];
    if (text !== '') onEvent(event);
  };

  const readField = (whole: Buffer): void => {
    const cut = whole.indexOf(colon);
    if (cut === 0) return;
    const name = whole.toString('latin1', 0, cut === -1 ? whole.length : cut);
    const value = cut === -1 ? '' : whole.toString('utf8', whole[cut + 1] === space ? cut + 2 : cut + 1);
    if (name === 'data') {
      bytes += bytesOfLine;
      data.push(value);
    } else if (name === 'event') type = value;
    else if (name === 'id' && !value.includes('\0')) reader.eventId = value;
    else if (name === 'retry' && /^\d{1,9}$/.test(value)) reader.retryMs = Number(value);
  };

  const endLine = (last: Buffer): void => {
    let whole = line.length === 0 ? last : Buffer.concat([...line, last]);
    line = [];
    if (isFirstLine && whole.subarray(0, 3).equals(byteOrderMark)) whole = whole.subarray(3);
    isFirstLine = false;
    if (whole.length === 0) endEvent();
    else readField(whole);
  };

  /** @returns false once an event is too long; nothing more of the stream is to be read then */
  function push(chunk: Buffer): boolean {
    let start = endedInCarriageReturn && chunk[0] === lineFeed ? 1 : 0;
    if (chunk.length > 0) endedInCarriageReturn = chunk[chunk.length - 1] === carriageReturn;
    let nextReturn = chunk.indexOf(carriageReturn, start);
    while (start < chunk.length) {
      if (nextReturn !== -1 && nextReturn < start) nextReturn = chunk.indexOf(carriageReturn, start);
      const nextFeed = chunk.indexOf(lineFeed, start);
      const end = nextReturn === -1 ? nextFeed : nextFeed === -1 ? nextReturn : Math.min(nextFeed, nextReturn);
      bytes += (end === -1 ? chunk.length : end) - start;
      if (bytes > mostBytes) return false;
      if (end === -1) {
        line.push(chunk.subarray(start));
        break;
      }
      endLine(chunk.subarray(start, end));
      start = end + (chunk[end] === carriageReturn && chunk[end + 1] === lineFeed ? 2 : 1);
    }
    return true;
  }

  return reader;
};
