import { and, eq, ne, notInArray, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { toolDefinitions } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';

/** A tool as it was pinned at its first approval, with the hints that were vetted then. */
export type ToolDefinition = Omit<typeof toolDefinitions.$inferSelect, 'updatedAt'>;
export type ObservedTool = Pick<ToolDefinition, 'name' | 'definition' | 'readOnly' | 'destructive' | 'idempotent' | 'openWorld'> & {
  hash: string;
};

/**
 * Writes down what a server offers. The first look at an applied server approves its tools as they are. After that a new tool
 * waits unapproved (empty `approvedHash`), a changed one keeps the pinned definition and shows another `currentHash`, and one that
 * is no longer offered has an empty `currentHash`: none of them is used. Applying a changed McpServer (a new generation) approves anew.
 */
export const recordToolDefinitions = (
  database: Database,
  server: Tenancy & { server: string; generation: number },
  observed: ObservedTool[],
): Promise<void> =>
  guarded(() =>
    database.transaction(async (transaction) => {
      const { org, project, server: name, generation } = server;
      const here = and(eq(toolDefinitions.org, org), eq(toolDefinitions.project, project), eq(toolDefinitions.server, name));
      const existing = new Map((await transaction.select().from(toolDefinitions).where(here).for('update')).map((row) => [row.name, row]));
      const isLate = [...existing.values()].some((row) => row.approvedGeneration === generation);
      for (const { hash, ...tool } of observed) {
        const known = existing.get(tool.name);
        if (!known)
          await transaction
            .insert(toolDefinitions)
            .values({
              org,
              project,
              server: name,
              ...tool,
              approvedHash: isLate ? '' : hash,
              currentHash: hash,
              approvedGeneration: generation,
            })
            .onConflictDoNothing();
        else if (known.approvedGeneration < generation)
          await transaction
            .update(toolDefinitions)
            .set({ ...tool, approvedHash: hash, currentHash: hash, approvedGeneration: generation, updatedAt: sql`now()` })
            .where(and(here, eq(toolDefinitions.name, tool.name)));
        else if (known.currentHash !== hash)
          await transaction
            .update(toolDefinitions)
            .set({ currentHash: hash, updatedAt: sql`now()` })
            .where(and(here, eq(toolDefinitions.name, tool.name)));
      }
      const offered = observed.map((tool) => tool.name);
      await transaction
        .update(toolDefinitions)
        .set({ currentHash: '' })
        .where(and(here, ne(toolDefinitions.currentHash, ''), offered.length > 0 ? notInArray(toolDefinitions.name, offered) : undefined));
    }),
  );

export const listToolDefinitions = (database: Executor): Promise<ToolDefinition[]> =>
  guarded(async () => (await database.select().from(toolDefinitions)).map(({ updatedAt: _when, ...row }) => row));

export const deleteToolDefinitions = (database: Executor, { org, project, server }: Tenancy & { server: string }): Promise<void> =>
  guarded(async () => {
    await database
      .delete(toolDefinitions)
      .where(and(eq(toolDefinitions.org, org), eq(toolDefinitions.project, project), eq(toolDefinitions.server, server)));
  });
