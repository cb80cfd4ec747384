import { randomBytes } from 'node:crypto';
import { and, eq, isNull, sql } from 'drizzle-orm';
import { originalKey, type SealedName, sealsAfterMs } from '../schema/seal-key.ts';
import { sealKeys } from '../schema/tables/tables.ts';
import type { Logger } from '../telemetry/logger.ts';
import { type Database, guarded } from './database.ts';
import { readAgain } from './read-again.ts';
import { readSealKeys } from './read-seal-keys.ts';
import { type ContentKeys, deriveContentKeys, deriveSealingKey, isWrappedByOther, type SealingKey, seal, unseal } from './secrets/seal.ts';

/** Five times before a new key seals. */
const pollEveryMs = 2000;

/** The keys of one name, as one process uses them. */
export type SealRing = {
  name: SealedName;
  /** Those of one purpose; they follow every rotation by themselves. */
  keys(purpose: string): ContentKeys;
  /** The key that seals now; undefined is the original one. */
  currentId(): string | undefined;
  close(): Promise<void>;
};

/**
 * Reads the keys of a name again and again, and makes those that were asked for: whoever asks needs no key for that. A key is read by all
 * long before it seals, so a rotation fails no call. While the database is away the last view stays, and so do its rows.
 * @param options.master - 32 bytes in base64: the original key, which wraps the others
 * @param options.sealsAfterMs - how long after it was made a key begins to seal
 * @throws {PlatformError} `store_unavailable`; `secret_unavailable` where the wrapping key is another one
 */
export const openSealRing = async ({
  database,
  name,
  master,
  logger,
  pollMs = pollEveryMs,
  sealsAfterMs: announcedMs = sealsAfterMs,
}: {
  database: Database;
  name: SealedName;
  master: string;
  logger: Logger;
  pollMs?: number;
  sealsAfterMs?: number;
}): Promise<SealRing> => {
  const wrapping = deriveContentKeys(master, `seal-keys/${name}`);
  const placeOf = (id: string): string => `seal-keys/${name}/${id}`;
  const opened = new Map<string, Buffer>();
  let currentId: string | undefined;
  let isOriginalRetired = false;

  const make = async (id: string): Promise<void> => {
    const made = await database
      .update(sealKeys)
      .set({ wrapped: seal(wrapping, randomBytes(32), placeOf(id)), sealsFrom: sql`now() + ${announcedMs} * interval '1 millisecond'` })
      .where(and(eq(sealKeys.name, name), eq(sealKeys.id, id), isNull(sealKeys.wrapped), isNull(sealKeys.retiredAt)))
      .returning({ id: sealKeys.id });
    if (made.length > 0) logger.info({ event: 'seal-key-made', name, madeId: id }, 'a key was made');
  };

  /** After the wrapping key was rotated; a row that changed meanwhile is left to who changed it. */
  const rewrap = async (id: string, wrapped: Buffer): Promise<void> => {
    const anew = seal(wrapping, unseal(wrapping, wrapped, placeOf(id)), placeOf(id));
    const moved = await database
      .update(sealKeys)
      .set({ wrapped: anew })
      .where(and(eq(sealKeys.name, name), eq(sealKeys.id, id), eq(sealKeys.wrapped, wrapped), isNull(sealKeys.retiredAt)))
      .returning({ id: sealKeys.id });
    if (moved.length > 0) logger.info({ event: 'seal-key-rewrapped', name, sealId: id }, 'a key was wrapped anew');
  };

  const list = async (longestAgeMs: number) => (await readSealKeys(database, longestAgeMs)).filter((row) => row.name === name);

  const read = (longestAgeMs: number): Promise<void> =>
    guarded(async () => {
      let rows = await list(longestAgeMs);
      const asked = rows.filter(({ wrapped, retiredAt }) => wrapped === null && retiredAt === null);
      for (const { id } of asked) await make(id);
      if (asked.length > 0) rows = await list(0);
      for (const { id, wrapped, retiredAt } of rows)
        if (retiredAt !== null) opened.delete(id);
        else if (wrapped && !opened.has(id)) opened.set(id, unseal(wrapping, wrapped, placeOf(id)));
      for (const { id, wrapped, retiredAt } of rows)
        if (wrapped && retiredAt === null && isWrappedByOther(wrapping, wrapped)) await rewrap(id, wrapped);
      const seals = rows.findLast(({ seals, wrapped }) => seals && wrapped !== null)?.id;
      if (seals !== currentId)
        logger.info({ event: 'seal-key-seals', name, sealId: seals ?? originalKey }, 'another key seals from now on');
      currentId = seals;
      isOriginalRetired = rows.some(({ id }) => id === originalKey);
    });

  let isOpen = false;
  const reader = await readAgain({
    // the first view is one's own; from then on the rings of a process share what one of them was told
    read: () => read(isOpen ? pollMs / 2 : 0),
    pollMs,
    onFailure: (error) => logger.warn({ err: error, name }, 'the keys could not be read; the last ones stay'),
  });
  isOpen = true;

  const keys = (purpose: string): ContentKeys => {
    const derived = new Map<string, Buffer>();
    const find = (id: string): Buffer | undefined => {
      const base = opened.get(id);
      if (!base) return undefined;
      const known = derived.get(id) ?? deriveSealingKey(base, purpose);
      derived.set(id, known);
      return known;
    };
    const current = (): SealingKey | undefined => {
      const bytes = currentId === undefined ? undefined : find(currentId);
      return currentId === undefined || !bytes ? undefined : { id: currentId, bytes };
    };
    return { ...deriveContentKeys(master, purpose), ring: { current, find, opensOriginal: () => !isOriginalRetired } };
  };

  return { name, keys, currentId: () => currentId, close: reader.close };
};
