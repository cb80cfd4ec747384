import type { Readable } from 'node:stream';

const newline = 0x0a;
/** Of a line that is too long only its ends are kept: enough to find the id of the message it would have been. */
const endBytes = 256;

export type LineHandlers = {
  onLine: (line: string) => void;
  /** A line longer than the cap, with its first and last bytes. */
  onOversize: (ends: { head: string; tail: string }) => void;
};

/**
 * Cuts a stream into lines of UTF-8 text, without their newline; empty lines are left out.
 * At most `maximumBytes` of a line are held; the rest of a longer one is thrown away as it comes in.
 */
export const readLines = (stream: Readable, maximumBytes: number, { onLine, onOversize }: LineHandlers): void => {
  let parts: Buffer[] = [];
  let length = 0;
  let head = '';
  let tail = Buffer.alloc(0);

  const append = (part: Buffer): void => {
    if (part.length === 0) return;
    length += part.length;
    if (length <= maximumBytes) {
      parts.push(part);
      return;
    }
    if (parts.length > 0 || head === '') {
      const kept = Buffer.concat([...parts, part]);
      head = kept.subarray(0, endBytes).toString('utf8');
      tail = kept.subarray(-endBytes);
      parts = [];
    } else {
      tail = Buffer.concat([tail, part.subarray(-endBytes)]).subarray(-endBytes);
    }
  };

  const finish = (): void => {
    if (length > maximumBytes) onOversize({ head, tail: tail.toString('utf8') });
    else if (length > 0) onLine((parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString('utf8') ?? '');
    parts = [];
    length = 0;
    head = '';
  };

  stream.on('data', (chunk: Buffer) => {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      append(chunk.subarray(start, end));
      finish();
      start = end + 1;
    }
    append(chunk.subarray(start));
  });
};
