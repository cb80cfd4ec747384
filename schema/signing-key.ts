import { personTokenLifetimeSeconds } from './access-token.ts';

/** How long a key signs before the next one does, in days. */
export const keySignsForDays = 30;
/** A key is published at least so long before it signs: whoever keeps keys reads them again within a minute (SEC-12). */
export const keyPublishedBeforeSeconds = 120;
/** For so long what an earlier key has signed is still good: the longest life of a token, and the clocks that may differ. */
export const keyVerifiesForSeconds = personTokenLifetimeSeconds + 60;

/** When a key of the issuer signs. They are numbered in the order in which they do. */
export type SigningKeyTimes = { number: number; kid: string; signsFrom: Date; deniedAt: Date | null };

/** `next` is published and signs nothing yet; `retired` ones only verify; `ended` and `denied` ones are refused. */
export type SigningKeyState = 'next' | 'signing' | 'retired' | 'ended' | 'denied';

/** What a key is at a moment; `refusedFrom` is when tokens that it signed are no longer taken, whatever they say of themselves. */
export type JudgedKey<Key extends SigningKeyTimes> = Key & { state: SigningKeyState; refusedFrom: Date | null };

const hasSigned = ({ signsFrom, deniedAt }: SigningKeyTimes, now: Date): boolean =>
  signsFrom <= now && (deniedAt === null || deniedAt > signsFrom);

/**
 * Says what each key is: the newest one whose time has come signs, and those before it verify for a while. Time and rows alone decide, so
 * that all who read the rows agree.
 * @param keys - all there are
 * @param now - by the clock of the database
 */
export const judgeSigningKeys = <Key extends SigningKeyTimes>(keys: readonly Key[], now: Date): JudgedKey<Key>[] => {
  const inOrder = [...keys].sort((one, other) => one.number - other.number);
  const signing = inOrder.findLast((key) => key.deniedAt === null && key.signsFrom <= now);
  return inOrder.map((key, index) => {
    if (key.deniedAt !== null) return { ...key, state: 'denied', refusedFrom: key.deniedAt };
    if (key === signing) return { ...key, state: 'signing', refusedFrom: null };
    if (key.signsFrom > now) return { ...key, state: 'next', refusedFrom: null };
    // one that was denied later took its place all the same: a window that has closed does not open again
    const successor = inOrder.slice(index + 1).find((later) => hasSigned(later, now));
    const refusedFrom = new Date((successor ?? key).signsFrom.getTime() + keyVerifiesForSeconds * 1000);
    return { ...key, state: refusedFrom <= now ? 'ended' : 'retired', refusedFrom };
  });
};
