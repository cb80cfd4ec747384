import type { ChainPlace } from './audit-chain.ts';
import type { AuditEntry } from './audit-rows.ts';

/** Rows that go along with a commit which is made anyway. Whoever takes them says once what became of them. */
export type Riders = {
  readonly entries: readonly AuditEntry[];
  written(): void;
  /** They were certainly not written: they are written as if nobody had taken them. */
  refused(): void;
  /** Nobody knows whether the commit came about. @param hash - of the link that was tried at the place */
  doubtful(place: ChainPlace, hash: Buffer): void;
};

/** Rows that went along with a commit of unknown end. */
export type Doubt = { entries: readonly AuditEntry[]; place: ChainPlace; hash: Buffer };

/**
 * Keeps account of rows that were given away to go along with commits of others.
 * @param options.onRefused - takes rows back
 * @param options.onDoubt - told that there is a doubt to `settle`
 */
export const createRides = ({ onRefused, onDoubt }: { onRefused: (entries: readonly AuditEntry[]) => void; onDoubt: () => void }) => {
  const open = new Set<Promise<void>>();
  const doubts: Doubt[] = [];
  let rows = 0;

  return {
    /** How many rows are with others, or in doubt. */
    get rows(): number {
      return rows;
    },
    get hasDoubts(): boolean {
      return doubts.length > 0;
    },
    /** Whether somebody who took rows has not said yet what became of them. */
    get isUnderWay(): boolean {
      return open.size > 0;
    },
    ended: async (): Promise<void> => void (await Promise.all(open)),
    begin: (entries: readonly AuditEntry[]): Riders => {
      const { promise, resolve } = Promise.withResolvers<void>();
      rows += entries.length;
      open.add(promise);
      const over = (): void => {
        open.delete(promise);
        resolve();
      };
      return {
        entries,
        written: () => {
          rows -= entries.length;
          over();
        },
        refused: () => {
          rows -= entries.length;
          onRefused(entries);
          over();
        },
        doubtful: (place, hash) => {
          doubts.push({ entries, place, hash });
          onDoubt();
          over();
        },
      };
    },
    /**
     * Settles what is in doubt, one after the other.
     * @param write - tries the rows alone at the very place of the commit: if it came about they are there, and if not they take its
     * place, so that it cannot come about any more. Nothing goes on from there, for that chain was left. What it throws leaves the doubt.
     */
    settle: async (write: (doubt: Doubt) => Promise<void>): Promise<void> => {
      for (let doubt = doubts[0]; doubt; doubt = doubts[0]) {
        await write(doubt);
        doubts.shift();
        rows -= doubt.entries.length;
      }
    },
  };
};
