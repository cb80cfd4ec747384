import { inArray, lte } from 'drizzle-orm';
import { mcpAnswers } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

export const answerContext = (id: string): string => `mcp-answer/${id}`;

/** Answers of clients to questions that another replica asked: left by the one that received them, taken once by the one that asked. */
export const createMcpAnswerStore = (database: Database, keys: ContentKeys) => ({
  /** Leaves an answer; a second one to the same question changes nothing. */
  leave: (id: string, answer: string): Promise<void> =>
    guarded(async () => {
      await database
        .insert(mcpAnswers)
        .values({ id, answer: seal(keys, Buffer.from(answer), answerContext(id)) })
        .onConflictDoNothing();
    }),

  /** Takes the answers to some questions, as far as they came. @returns text by id */
  take: (ids: string[]): Promise<Map<string, string>> =>
    guarded(async () => {
      const rows = await database.delete(mcpAnswers).where(inArray(mcpAnswers.id, ids)).returning();
      return new Map(rows.map(({ id, answer }) => [id, unseal(keys, answer, answerContext(id)).toString()]));
    }),

  /** Deletes answers that nobody took. */
  removeOld: (before: Date): Promise<void> =>
    guarded(async () => {
      await database.delete(mcpAnswers).where(lte(mcpAnswers.createdAt, before));
    }),
});
export type McpAnswerStore = ReturnType<typeof createMcpAnswerStore>;
