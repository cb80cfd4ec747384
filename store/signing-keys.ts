import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import {
  type JudgedKey,
  judgeSigningKeys,
  keyPublishedBeforeSeconds,
  keySignsForDays,
  type SigningKeyTimes,
} from '../schema/signing-key.ts';
import { signingKeys } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

export type SigningKeyRow = SigningKeyTimes & { madeAt: Date; sealed: Buffer | null };

const seconds = (count: number) => sql`${count} * interval '1 second'`;

/**
 * From when a key signs that signs at once. The clock of a statement stands still before its view of the rows is taken: whoever asked a moment
 * ago and sees this key already would take it for one whose turn is to come, and make another, if it began at this very moment.
 */
const atOnce = sql`now() - interval '1 minute'`;

/** Reads all signing keys, and what each is by the clock of the database, which everybody shares. */
export const listSigningKeys = (database: Database): Promise<JudgedKey<SigningKeyRow>[]> =>
  guarded(async () => {
    const nowMs = sql<number>`extract(epoch from now()) * 1000`.mapWith(Number);
    const rows = await database.select({ key: signingKeys, nowMs }).from(signingKeys).orderBy(signingKeys.number);
    const [first] = rows;
    return first === undefined
      ? []
      : judgeSigningKeys(
          rows.map(({ key }) => key),
          new Date(first.nowMs),
        );
  });

/**
 * Adds a key under a number. Of several at the same moment one comes first.
 * @param key.signs - at once, or when the key before it has signed for its time
 * @returns false when there is a key of that number already
 */
export const addSigningKey = (
  database: Database,
  { number, kid, sealed, signs }: { number: number; kid: string; sealed: Buffer; signs: 'at-once' | 'in-turn' },
): Promise<boolean> =>
  guarded(async () => {
    const signsFrom = signs === 'at-once' ? atOnce : sql`now() + ${seconds(keySignsForDays * 86_400)}`;
    const made = await database
      .insert(signingKeys)
      .values({ number, kid, sealed, signsFrom })
      .onConflictDoNothing()
      .returning({ number: signingKeys.number });
    return made.length > 0;
  });

/**
 * Lets the next key sign before its turn: as soon as everybody who verifies has read it, so that no call fails.
 * @returns the key and when it begins; undefined where none could sign sooner: there is none, or it was asked for already
 */
export const rotateSigningKey = (database: Database): Promise<{ kid: string; signsFrom: Date } | undefined> =>
  guarded(async () => {
    const next = (await listSigningKeys(database)).find(({ state }) => state === 'next');
    if (next === undefined) return undefined;
    // the clock that runs: whoever waited for another's change would judge it by the moment before the wait, and change it again
    const readBy = sql`greatest(clock_timestamp(), ${signingKeys.madeAt} + ${seconds(keyPublishedBeforeSeconds)})`;
    const [changed] = await database
      .update(signingKeys)
      .set({ signsFrom: readBy })
      .where(and(eq(signingKeys.number, next.number), isNull(signingKeys.deniedAt), gt(signingKeys.signsFrom, readBy)))
      .returning({ kid: signingKeys.kid, signsFrom: signingKeys.signsFrom });
    return changed;
  });

/**
 * Refuses a key from now on; whoever checks tokens hears of it within two seconds. Where it was the one that signs, the next one does.
 * @returns false when there is no such key, or it is refused already
 */
export const denySigningKey = (database: Database, kid: string): Promise<boolean> =>
  guarded(async () => {
    const found = (await listSigningKeys(database)).find((key) => key.kid === kid);
    if (found === undefined) return false;
    const denied = await database
      .update(signingKeys)
      .set({ deniedAt: sql`now()`, sealed: null })
      .where(and(eq(signingKeys.kid, kid), isNull(signingKeys.deniedAt)))
      .returning({ number: signingKeys.number });
    if (denied.length === 0) return false;
    const left = await listSigningKeys(database);
    const next = left.find(({ state }) => state === 'next');
    if (next && found.state === 'signing')
      await database
        .update(signingKeys)
        .set({ signsFrom: sql`least(${signingKeys.signsFrom}, ${atOnce})` })
        .where(eq(signingKeys.number, next.number));
    return true;
  });

/** Forgets the private half of a key that nothing needs any more; its row stays, so that it is known to be refused. */
export const forgetPrivateKey = (database: Database, number: number): Promise<void> =>
  guarded(async () => {
    await database.update(signingKeys).set({ sealed: null }).where(eq(signingKeys.number, number));
  });

/** Puts the same private key down as it was sealed with another one. @returns false where it changed meanwhile */
export const replaceSealed = (
  database: Database,
  { number, sealed, anew }: { number: number; sealed: Buffer; anew: Buffer },
): Promise<boolean> =>
  guarded(async () => {
    const changed = await database
      .update(signingKeys)
      .set({ sealed: anew })
      .where(and(eq(signingKeys.number, number), eq(signingKeys.sealed, sealed)))
      .returning({ number: signingKeys.number });
    return changed.length > 0;
  });
