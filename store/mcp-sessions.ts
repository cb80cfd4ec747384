import { and, eq, gt, inArray, lte, sql } from 'drizzle-orm';
import { mcpSessions } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { createGroupCommit } from './group-commit.ts';

/** A session of a legacy client. `client` is what the client said of itself, as the gateway wrote it. */
export type McpSessionRow = {
  id: string;
  org: string;
  /** One name for who opened it; nobody else may use it. */
  principal: string;
  /** Canonical path of the endpoint. */
  endpoint: string;
  transport: 'streamable' | 'sse';
  client: Record<string, unknown>;
  logLevel: string | null;
};
export type McpSessionLimits = { perPrincipal: number; total: number };
type Change = Partial<Pick<McpSessionRow, 'client' | 'logLevel'>>;

const columns = {
  id: mcpSessions.id,
  org: mcpSessions.org,
  principal: mcpSessions.principal,
  endpoint: mcpSessions.endpoint,
  transport: mcpSessions.transport,
  client: mcpSessions.client,
  logLevel: mcpSessions.logLevel,
};

/**
 * Sessions of legacy MCP clients. What was not used since `idleSince` counts as gone everywhere, deleted or not.
 * Instants come from the gateway's clock.
 */
export const createMcpSessionStore = (database: Database) => {
  type Insert = { row: McpSessionRow; limits: McpSessionLimits; now: Date; idleSince: Date };

  const insertBatch = (batch: Insert[]): Promise<('stored' | 'full')[]> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        // one batch at a time among all replicas, so that the limits hold exactly
        await transaction.execute(sql`select pg_advisory_xact_lock(hashtextextended('quarterdeck/mcp-sessions', 0))`);
        const idleSince = batch[0]?.idleSince ?? new Date(0);
        const isLive = gt(mcpSessions.usedAt, idleSince);
        let total = await transaction.$count(mcpSessions, isLive);
        const principals = [...new Set(batch.map(({ row }) => row.principal))];
        const counted = await transaction
          .select({ principal: mcpSessions.principal, count: sql<number>`count(*)::int` })
          .from(mcpSessions)
          .where(and(inArray(mcpSessions.principal, principals), isLive))
          .groupBy(mcpSessions.principal);
        const perPrincipal = new Map(counted.map(({ principal, count }) => [principal, count]));
        const admitted = batch.map(({ row, limits }) => {
          const own = perPrincipal.get(row.principal) ?? 0;
          if (total >= limits.total || own >= limits.perPrincipal) return false;
          total += 1;
          perPrincipal.set(row.principal, own + 1);
          return true;
        });
        const rows = batch.filter((_, index) => admitted[index]).map(({ row, now }) => ({ ...row, createdAt: now, usedAt: now }));
        if (rows.length > 0) await transaction.insert(mcpSessions).values(rows);
        return admitted.map((isAdmitted) => (isAdmitted ? 'stored' : 'full'));
      }),
    );
  const inserts = createGroupCommit({ flush: insertBatch, maxBatch: 200 });

  return {
    /** Commits a new session, unless its principal or all together have as many as they may. */
    insert: (row: McpSessionRow, limits: McpSessionLimits, now: Date, idleSince: Date): Promise<'stored' | 'full'> =>
      inserts.add({ row, limits, now, idleSince }),

    /** Takes up a session: notes its use and returns it; undefined when there is none. */
    use: (id: string, now: Date, idleSince: Date): Promise<McpSessionRow | undefined> =>
      guarded(async () => {
        const [row] = await database
          .update(mcpSessions)
          .set({ usedAt: now })
          .where(and(eq(mcpSessions.id, id), gt(mcpSessions.usedAt, idleSince)))
          .returning(columns);
        return row;
      }),

    /** Notes the use of several sessions. @returns the ids of those that are still there */
    touch: (ids: string[], now: Date, idleSince: Date): Promise<Set<string>> =>
      guarded(async () => {
        const rows = await database
          .update(mcpSessions)
          .set({ usedAt: now })
          .where(and(inArray(mcpSessions.id, ids), gt(mcpSessions.usedAt, idleSince)))
          .returning({ id: mcpSessions.id });
        return new Set(rows.map(({ id }) => id));
      }),

    change: (id: string, change: Change): Promise<void> =>
      guarded(async () => {
        await database.update(mcpSessions).set(change).where(eq(mcpSessions.id, id));
      }),

    /** @returns whether it was this call that deleted the session */
    remove: (id: string): Promise<boolean> =>
      guarded(async () => {
        const rows = await database.delete(mcpSessions).where(eq(mcpSessions.id, id)).returning({ id: mcpSessions.id });
        return rows.length > 0;
      }),

    /** Deletes sessions that nobody used since `idleSince`, at most `limit` of them. @returns their ids, each to one caller only */
    removeIdle: (idleSince: Date, limit: number): Promise<string[]> =>
      guarded(async () => {
        const idle = database.select({ id: mcpSessions.id }).from(mcpSessions).where(lte(mcpSessions.usedAt, idleSince)).limit(limit);
        const rows = await database
          .delete(mcpSessions)
          // asked again at the row itself: a session that was taken up in between stays
          .where(and(inArray(mcpSessions.id, idle), lte(mcpSessions.usedAt, idleSince)))
          .returning({ id: mcpSessions.id });
        return rows.map(({ id }) => id);
      }),
  };
};
export type McpSessionStore = ReturnType<typeof createMcpSessionStore>;
