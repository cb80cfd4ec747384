import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import type { JsonObject } from '../mcp/message.ts';

/** How many items one answer has. */
export const pageSize = 1000;
const markBytes = 16;

export type Page = { items: readonly JsonObject[]; nextCursor?: string };

const versions = new WeakMap<readonly JsonObject[], string>();

/** Tells one list from another; only lists of several pages are ever asked. */
const versionOf = (items: readonly JsonObject[]): string => {
  let version = versions.get(items);
  if (version === undefined) {
    const hash = createHash('sha256');
    for (const item of items) hash.update(JSON.stringify(item)).update('\n');
    version = hash.digest('base64url');
    versions.set(items, version);
  }
  return version;
};

/**
 * Makes the pages of lists. A cursor is the number of items before it and a mark over that number, the list and its place, so that none
 * can be made up, used elsewhere, or used after the list has changed: then the client begins anew.
 * @param key - 32 bytes that all replicas share
 */
export const createPager = (key: Buffer) => {
  const markOf = (place: string, items: readonly JsonObject[], offset: number): Buffer =>
    createHmac('sha256', key)
      .update(`${place}\n${versionOf(items)}\n${offset}`)
      .digest()
      .subarray(0, markBytes);

  const cursorOf = (place: string, items: readonly JsonObject[], offset: number): string =>
    Buffer.concat([Buffer.from(Uint32Array.of(offset).buffer), markOf(place, items, offset)]).toString('base64url');

  const offsetOf = (cursor: unknown, place: string, items: readonly JsonObject[]): number => {
    const bytes = typeof cursor === 'string' && cursor.length <= 64 ? Buffer.from(cursor, 'base64url') : Buffer.alloc(0);
    // Node also reads text with something behind the last whole byte
    const isWhole = bytes.length === 4 + markBytes && bytes.toString('base64url') === cursor;
    const offset = isWhole ? bytes.readUInt32LE() : 0;
    if (!isWhole || offset >= items.length || !timingSafeEqual(bytes.subarray(4), markOf(place, items, offset)))
      throw new PlatformError('request_invalid', 'Invalid params: the cursor is none of this list, or the list has changed; begin anew.');
    return offset;
  };

  /**
   * @param place - endpoint and method; a cursor is good for no other
   * @param cursor - `undefined` for the first page; anything else must be one that was handed out
   * @throws {PlatformError} `request_invalid`
   */
  return (items: readonly JsonObject[], place: string, cursor: unknown): Page => {
    const offset = cursor === undefined ? 0 : offsetOf(cursor, place, items);
    if (offset === 0 && items.length <= pageSize) return { items };
    const end = offset + pageSize;
    return { items: items.slice(offset, end), ...(end < items.length ? { nextCursor: cursorOf(place, items, end) } : {}) };
  };
};
export type Pager = ReturnType<typeof createPager>;
