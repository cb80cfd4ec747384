import { Transform } from 'node:stream';

/** How many of the last bytes could be the beginning of one of the texts. */
const openEnd = (bytes: Buffer, needles: readonly Buffer[]): number => {
  const longest = Math.min(bytes.length, Math.max(...needles.map(({ length }) => length)) - 1);
  for (let length = longest; length > 0; length -= 1) {
    const end = bytes.subarray(bytes.length - length);
    if (needles.some((needle) => needle.length > length && needle.subarray(0, length).equals(end))) return length;
  }
  return 0;
};

/** Writes asterisks over each of the texts, longest first, wherever they stand. */
const maskIn = (bytes: Buffer, needles: readonly Buffer[]): void => {
  for (const needle of needles)
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at)) bytes.fill('*', at, at + needle.length);
};

const needlesOf = (texts: readonly string[]): Buffer[] =>
  texts
    .filter((text) => text !== '')
    .map((text) => Buffer.from(text))
    .sort((one, other) => other.length - one.length);

export const maskText = (text: string, hidden: readonly string[]): string => {
  const bytes = Buffer.from(text);
  maskIn(bytes, needlesOf(hidden));
  return bytes.toString();
};

/**
 * Hides texts in a stream of bytes, across the borders of its chunks, and keeps its length. Only bytes that could be the beginning of
 * such a text wait for the next chunk.
 */
export const createMask = (hidden: readonly string[]): Transform => {
  const needles = needlesOf(hidden);
  let kept = Buffer.alloc(0);
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const bytes = Buffer.concat([kept, chunk]);
      maskIn(bytes, needles);
      const open = openEnd(bytes, needles);
      kept = bytes.subarray(bytes.length - open);
      done(null, bytes.subarray(0, bytes.length - open));
    },
    flush: (done) => done(null, kept),
  });
};

/** Passes bytes on until a text stands in them, which it reports before the chunk that completes it. */
export const createAlarm = (text: string, alarm: () => Error): Transform => {
  const needle = Buffer.from(text);
  let kept = Buffer.alloc(0);
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const bytes = Buffer.concat([kept, chunk]);
      if (bytes.includes(needle)) return done(alarm());
      kept = bytes.subarray(Math.max(0, bytes.length - needle.length + 1));
      done(null, chunk);
    },
  });
};
