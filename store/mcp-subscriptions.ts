import { eq } from 'drizzle-orm';
import { mcpSessions } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { isInstanceGone } from './mcp-streams.ts';

type Subscription = { uri: string; instance: string };

/**
 * Which resources a legacy session is subscribed to, and which replica hears of their changes. When that one is gone, another takes over.
 * @param options.most - subscriptions of one session
 */
export const createMcpSubscriptionStore = ({
  database,
  instance,
  most = 1000,
}: {
  database: Database;
  instance: string;
  most?: number;
}) => {
  /** Changes the list of one session, one at a time among all replicas. */
  const change = <T>(
    session: string,
    work: (subscriptions: Subscription[], isGone: (other: string) => Promise<boolean>) => Promise<{ next: Subscription[]; result: T }>,
    otherwise: T,
  ): Promise<T> =>
    guarded(() =>
      database.transaction(async (transaction) => {
        const [row] = await transaction
          .select({ subscriptions: mcpSessions.subscriptions })
          .from(mcpSessions)
          .where(eq(mcpSessions.id, session))
          .for('update');
        if (!row) return otherwise;
        const { next, result } = await work(row.subscriptions, (other) => isInstanceGone(transaction, other));
        if (next !== row.subscriptions)
          await transaction.update(mcpSessions).set({ subscriptions: next }).where(eq(mcpSessions.id, session));
        return result;
      }),
    );

  return {
    /** Notes that this replica hears of a resource. @returns false when the session has as many as it may */
    add: (session: string, uri: string): Promise<boolean> =>
      change(
        session,
        async (subscriptions) => {
          const others = subscriptions.filter((subscription) => subscription.uri !== uri);
          if (others.length >= most) return { next: subscriptions, result: false };
          return { next: [...others, { uri, instance }], result: true };
        },
        false,
      ),

    remove: (session: string, uri: string): Promise<void> =>
      change(
        session,
        async (subscriptions) => ({ next: subscriptions.filter((subscription) => subscription.uri !== uri), result: undefined }),
        undefined,
      ),

    list: (session: string): Promise<Subscription[]> =>
      guarded(async () => {
        const [row] = await database
          .select({ subscriptions: mcpSessions.subscriptions })
          .from(mcpSessions)
          .where(eq(mcpSessions.id, session));
        return row?.subscriptions ?? [];
      }),

    /** Takes over what replicas that are gone heard of. @returns the URIs, each to one replica only */
    takeOver: (session: string): Promise<string[]> =>
      change<string[]>(
        session,
        async (subscriptions, isGone) => {
          const gone = new Set<string>();
          for (const other of new Set(subscriptions.map((subscription) => subscription.instance)))
            if (other !== instance && (await isGone(other))) gone.add(other);
          if (gone.size === 0) return { next: subscriptions, result: [] };
          return {
            next: subscriptions.map((subscription) => (gone.has(subscription.instance) ? { ...subscription, instance } : subscription)),
            result: subscriptions.filter((subscription) => gone.has(subscription.instance)).map(({ uri }) => uri),
          };
        },
        [],
      ),
  };
};
export type McpSubscriptionStore = ReturnType<typeof createMcpSubscriptionStore>;
