import { redactor } from '../../telemetry/redactor.ts';

/** A line longer than this is taken in pieces: one secret in a million characters may then be cut, and memory stays bounded. */
const longestLine = 1024 * 1024;
const lineFeed = 10;
const nothing = Buffer.alloc(0);

/** Replaces secrets in a stream of text, line by line, so that none is missed for being cut in two. Keys of several lines are known by their first. */
export const redactLines = () => {
  let kept: Buffer[] = [];
  let keptBytes = 0;
  const clean = (pieces: Buffer[]): Buffer => {
    const bytes = Buffer.concat(pieces);
    const text = bytes.toString('utf8');
    const safe = redactor.text(text);
    return safe === text ? bytes : Buffer.from(safe);
  };
  const flush = (): Buffer => {
    const pieces = kept;
    kept = [];
    keptBytes = 0;
    return pieces.length === 0 ? nothing : clean(pieces);
  };
  return {
    /** @returns what of it and of what came before is whole lines */
    take: (chunk: Buffer): Buffer => {
      const end = chunk.lastIndexOf(lineFeed) + 1;
      const whole = end === 0 ? nothing : clean([...kept, chunk.subarray(0, end)]);
      if (end > 0) kept = [];
      if (end < chunk.length) kept.push(chunk.subarray(end));
      keptBytes = kept.reduce((sum, piece) => sum + piece.length, 0);
      return keptBytes > longestLine ? Buffer.concat([whole, flush()]) : whole;
    },
    rest: flush,
  };
};
