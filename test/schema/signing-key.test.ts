import { describe, expect, test } from 'vitest';
import { judgeSigningKeys, keyVerifiesForSeconds } from '../../schema/signing-key.ts';

const start = new Date('2026-10-01T12:00:00Z');
const later = (seconds: number): Date => new Date(start.getTime() + seconds * 1000);
const key = (number: number, signsFromSeconds: number, deniedAtSeconds?: number) => ({
  number,
  kid: `key-${number}`,
  signsFrom: later(signsFromSeconds),
  deniedAt: deniedAtSeconds === undefined ? null : later(deniedAtSeconds),
});
const statesOf = (keys: ReturnType<typeof key>[], nowSeconds: number): string =>
  judgeSigningKeys(keys, later(nowSeconds))
    .map(({ state }) => state)
    .join(' ');

describe('what a signing key is', () => {
  test('follows from time alone: one signs, those after it wait, those before it verify until their last token has ended', () => {
    const keys = [key(3, 2000), key(1, 0), key(2, 1000)];
    expect(statesOf(keys, 0)).toBe('signing next next');
    expect(statesOf(keys, 999)).toBe('signing next next');
    expect(statesOf(keys, 1000)).toBe('retired signing next');
    expect(statesOf(keys, 1000 + keyVerifiesForSeconds - 1)).toBe('retired signing next');
    expect(statesOf(keys, 1000 + keyVerifiesForSeconds)).toBe('ended signing next');
  });

  test('a denied one is denied at once and for ever, and the next before it signs on', () => {
    expect(statesOf([key(1, 0), key(2, 10, 20), key(3, 20)], 20)).toBe('retired denied signing');
    expect(statesOf([key(1, 0), key(2, 1000, 20)], 5000)).toBe('signing denied');
  });

  test('a window that has closed does not open again because a later key is denied', () => {
    const closed = 10 + keyVerifiesForSeconds;
    const [first] = judgeSigningKeys([key(1, 0), key(2, 10, closed + 5), key(3, closed + 5)], later(closed + 6));
    expect(first).toMatchObject({ state: 'ended', refusedFrom: later(closed) });
  });
});
