import { lte } from 'drizzle-orm';
import { mcpUsedRounds } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** Who went on with a round: the operation, empty where the request is none, and a digest of what was answered. */
export type RoundUse = { operationId: string; answersDigest: string };

/** Remembers which rounds were gone on with, so that nobody does so twice, at whichever replica. */
export const createUsedRoundStore = (database: Database) => ({
  /**
   * Takes a round for a use; the first one stands.
   * @param expiresAt - from then on nobody may go on with the round in any case
   * @returns the use that stands
   */
  use: (id: string, { operationId, answersDigest }: RoundUse, expiresAt: Date): Promise<RoundUse> =>
    guarded(async () => {
      // what is set is what stands: a row that is there already comes back as it is
      const [row] = await database
        .insert(mcpUsedRounds)
        .values({ id, operationId, answersDigest, expiresAt })
        .onConflictDoUpdate({ target: mcpUsedRounds.id, set: { operationId: mcpUsedRounds.operationId } })
        .returning({ operationId: mcpUsedRounds.operationId, answersDigest: mcpUsedRounds.answersDigest });
      return row ?? { operationId, answersDigest };
    }),

  /** Deletes what nobody may go on with any more. */
  removeExpired: (now: Date): Promise<void> =>
    guarded(async () => {
      await database.delete(mcpUsedRounds).where(lte(mcpUsedRounds.expiresAt, now));
    }),
});
export type UsedRoundStore = ReturnType<typeof createUsedRoundStore>;
