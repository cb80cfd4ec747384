import { isPlatformError } from '../schema/errors.ts';
import { type ChainPlace, chainBegin, closeLink } from './audit-chain.ts';

/** Where statements go. */
export type Queryable = { query(query: { text: string; values: unknown[] }): Promise<unknown> };

/**
 * The chain of one way to the database, on which one commit follows the other. Its end is kept here and not asked for: rows that were
 * changed in the database meanwhile do not become part of what goes on.
 * @param options.next - numbers of chains of this writer that were not used yet
 */
export const createEpoch = ({ writer, next }: { writer: string; next: () => number }) => {
  let place: ChainPlace | undefined;

  const placeNow = (): ChainPlace => {
    if (!place) {
      const epoch = next();
      place = { writer, epoch, number: 1, previous: chainBegin({ writer, epoch }) };
    }
    return place;
  };

  return {
    /**
     * Commits one link. What the database refuses leaves the chain as it was.
     * @param write - commits rows and link at the place; returns the hash of the link
     */
    append: async <T>(write: (at: ChainPlace) => Promise<{ hash: Buffer; result: T }>): Promise<T> => {
      const at = placeNow();
      const { hash, result } = await write(at);
      place = { ...at, number: at.number + 1, previous: hash };
      return result;
    },
    /** Nobody knows whether the last commit came about, and it is not tried again: what follows begins a chain of its own. */
    breakOff: (): void => {
      place = undefined;
    },
    /** Writes that the chain ends here in order. A chain without this end is one whose process was killed, or still runs. */
    close: async (target: Queryable): Promise<void> => {
      if (!place || place.number === 1) return;
      const { writer, epoch, number, previous } = place;
      place = undefined;
      await target.query({ text: closeLink, values: [writer, epoch, number, previous] });
    },
  };
};
export type AuditEpoch = ReturnType<typeof createEpoch>;

/** Whether a commit may have come about although it failed. */
export const isInDoubt = (error: unknown): boolean => isPlatformError(error) && error.code === 'store_unavailable';
