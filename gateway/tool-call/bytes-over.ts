import type { JsonObject } from '../mcp/message.ts';

/** JSON spells a character with six bytes at most, and a number, `true` or `null` with 25. */
const mostPerCharacter = 6;
const mostPerScalar = 25;

/**
 * Whether a value certainly fits into so many bytes of JSON, found without writing it out. False may mean that it fits all the same.
 */
const fitsSurely = (value: unknown, limit: number): boolean => {
  let left = limit;
  const visit = (inner: unknown): boolean => {
    if (typeof inner === 'string') left -= inner.length * mostPerCharacter + 3;
    else if (typeof inner !== 'object' || inner === null) left -= mostPerScalar;
    else if (Array.isArray(inner)) {
      left -= 3;
      for (const element of inner) if (!visit(element)) return false;
    } else {
      left -= 3;
      for (const key in inner) {
        left -= key.length * mostPerCharacter + 4;
        if (!visit((inner as Record<string, unknown>)[key])) return false;
      }
    }
    return left >= 0;
  };
  return visit(value);
};

/**
 * How many bytes of JSON a result takes, where that is more than the limit.
 * @throws {RangeError} for what is nested too deep to be written out
 */
export const bytesOver = (result: JsonObject, limit: number): number | undefined => {
  if (fitsSurely(result, limit)) return undefined;
  const bytes = Buffer.byteLength(JSON.stringify(result));
  return bytes > limit ? bytes : undefined;
};
