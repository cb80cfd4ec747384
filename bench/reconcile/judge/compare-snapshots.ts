import type { Snapshot } from './snapshot.ts';

/** One value that is not as it was. */
export type Change = { at: string; before: string | undefined; after: string | undefined };

export const changesBetween = (before: Snapshot, after: Snapshot): Change[] =>
  [...new Set([...before.keys(), ...after.keys()])]
    .map((at) => ({ at, before: before.get(at), after: after.get(at) }))
    .filter(({ before: was, after: is }) => was !== is);

/**
 * What was changed and should not have been: neither put back to how it was when all was well, nor part of the right fix.
 * @param well - when all was well
 * @param faulty - after the fault was injected
 * @param end - after the reconciler had its way
 */
export const sideEffects = ({ well, faulty, end }: { well: Snapshot; faulty: Snapshot; end: Snapshot }, allowed?: RegExp): Change[] =>
  changesBetween(faulty, end).filter(({ at, after }) => after !== well.get(at) && !(allowed?.test(at) ?? false));
