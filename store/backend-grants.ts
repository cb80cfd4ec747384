import { and, desc, eq, isNotNull, isNull, lt, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Tenancy } from '../schema/ids.ts';
import { backendClients, backendGrants } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

export type ServerOfGrant = Tenancy & { server: string };
export type GrantKey = ServerOfGrant & { personId: string };

const TokensSchema = z.object({ accessToken: z.string(), refreshToken: z.string().optional() });
export type GrantTokens = z.infer<typeof TokensSchema>;

type Row = typeof backendGrants.$inferSelect;
/** A grant as it may be shown: without its tokens. */
export type ListedGrant = Omit<Row, 'sealed'>;
export type BackendGrant = ListedGrant & { tokens: GrantTokens };
export type NewGrant = GrantKey & Pick<Row, 'serverUid' | 'url' | 'issuer' | 'resource' | 'scopes' | 'expiresAt'> & { tokens: GrantTokens };

export const grantContext = ({ org, project, server, personId, issuer }: GrantKey & { issuer: string }): string =>
  JSON.stringify(['grant', org, project, server, personId, issuer]);
export const clientContext = ({ org, project, server }: ServerOfGrant, issuer: string): string =>
  JSON.stringify(['client', org, project, server, issuer]);
const ofServer = ({ org, project, server }: ServerOfGrant) =>
  and(eq(backendGrants.org, org), eq(backendGrants.project, project), eq(backendGrants.server, server));
const at = (key: GrantKey) => and(ofServer(key), eq(backendGrants.personId, key.personId));

/** Grants of people at MCP servers; tokens are sealed with a key that this table does not hold. */
export const createGrantStore = (database: Database, keys: ContentKeys) => {
  const sealTokens = (grant: GrantKey & { issuer: string }, tokens: GrantTokens): Buffer =>
    seal(keys, Buffer.from(JSON.stringify(tokens)), grantContext(grant));
  const opened = ({ sealed, ...grant }: Row): BackendGrant => ({
    ...grant,
    tokens: TokensSchema.parse(JSON.parse(unseal(keys, sealed, grantContext(grant)).toString('utf8'))),
  });

  const find = async (executor: Executor, key: GrantKey, isToChange: boolean): Promise<BackendGrant | undefined> => {
    const asked = executor
      .select()
      .from(backendGrants)
      .where(and(at(key), isNull(backendGrants.revokedAt)));
    const [row] = await (isToChange ? asked.for('update') : asked);
    return row && opened(row);
  };

  return {
    find: (key: GrantKey): Promise<BackendGrant | undefined> => guarded(() => find(database, key, false)),
    /** The grant that was given last for a server, whoever gave it. */
    findNewest: (server: ServerOfGrant): Promise<BackendGrant | undefined> =>
      guarded(async () => {
        const [row] = await database
          .select()
          .from(backendGrants)
          .where(and(ofServer(server), isNull(backendGrants.revokedAt)))
          .orderBy(desc(backendGrants.createdAt))
          .limit(1);
        return row && opened(row);
      }),
    /** Puts a grant in the place of the person's earlier one. */
    put: ({ tokens, ...grant }: NewGrant): Promise<void> =>
      guarded(async () => {
        const values = { ...grant, sealed: sealTokens(grant, tokens), createdAt: sql`now()`, refreshedAt: sql`now()`, revokedAt: null };
        await database
          .insert(backendGrants)
          .values(values)
          .onConflictDoUpdate({
            target: [backendGrants.org, backendGrants.project, backendGrants.server, backendGrants.personId],
            set: values,
          });
      }),
    /**
     * Changes a grant while nobody else does: a refresh token that is used twice ends the whole grant at many issuers.
     * @param change - gets the grant as it is by now; undefined for what it returns leaves it so, null takes it away
     */
    change: (
      key: GrantKey,
      change: (grant: BackendGrant) => Promise<(Pick<NewGrant, 'tokens' | 'expiresAt'> & { scopes?: string[] }) | undefined | null>,
    ): Promise<BackendGrant | undefined> =>
      guarded(() =>
        database.transaction(async (transaction) => {
          const grant = await find(transaction, key, true);
          if (!grant) return undefined;
          const changed = await change(grant);
          if (changed === undefined) return grant;
          if (changed === null) {
            await transaction.delete(backendGrants).where(at(key));
            return undefined;
          }
          const { tokens, ...rest } = changed;
          await transaction
            .update(backendGrants)
            .set({ ...rest, sealed: sealTokens(grant, tokens), refreshedAt: sql`now()` })
            .where(at(key));
          return { ...grant, ...changed };
        }),
      ),
    /** Those whose access token ends within a time. */
    listEnding: (withinMs: number): Promise<GrantKey[]> =>
      guarded(() =>
        database
          .select({
            org: backendGrants.org,
            project: backendGrants.project,
            server: backendGrants.server,
            personId: backendGrants.personId,
          })
          .from(backendGrants)
          .where(and(isNull(backendGrants.revokedAt), lt(backendGrants.expiresAt, sql`now() + ${withinMs} * interval '1 millisecond'`)))
          .limit(200),
      ),
    /** Those that people took back and whose issuer has not been told. */
    listRevoked: (): Promise<BackendGrant[]> =>
      guarded(async () => (await database.select().from(backendGrants).where(isNotNull(backendGrants.revokedAt)).limit(50)).map(opened)),
    remove: (key: GrantKey): Promise<void> =>
      guarded(async () => {
        await database.delete(backendGrants).where(and(at(key), isNotNull(backendGrants.revokedAt)));
      }),

    findClient: (server: ServerOfGrant, issuer: string): Promise<unknown> =>
      guarded(async () => {
        const { org, project, server: name } = server;
        const [row] = await database
          .select()
          .from(backendClients)
          .where(
            and(
              eq(backendClients.org, org),
              eq(backendClients.project, project),
              eq(backendClients.server, name),
              eq(backendClients.issuer, issuer),
            ),
          );
        if (!row) return undefined;
        return JSON.parse(unseal(keys, row.sealed, clientContext(server, issuer)).toString('utf8'));
      }),
    putClient: ({ org, project, server }: ServerOfGrant, issuer: string, client: object): Promise<void> =>
      guarded(async () => {
        const sealed = seal(keys, Buffer.from(JSON.stringify(client)), clientContext({ org, project, server }, issuer));
        await database
          .insert(backendClients)
          .values({ org, project, server, issuer, sealed })
          .onConflictDoUpdate({
            target: [backendClients.org, backendClients.project, backendClients.server, backendClients.issuer],
            set: { sealed, createdAt: sql`now()` },
          });
      }),
  };
};
export type GrantStore = ReturnType<typeof createGrantStore>;

/** Grants of a project, of one person or of all. */
export const listGrants = (database: Database, { org, project }: Tenancy, personId?: string): Promise<ListedGrant[]> =>
  guarded(async () => {
    const rows = await database
      .select()
      .from(backendGrants)
      .where(
        and(
          eq(backendGrants.org, org),
          eq(backendGrants.project, project),
          isNull(backendGrants.revokedAt),
          personId === undefined ? undefined : eq(backendGrants.personId, personId),
        ),
      )
      .orderBy(backendGrants.server, backendGrants.personId);
    return rows.map(({ sealed: _tokens, ...grant }) => grant);
  });

/** Takes a grant back: it is used no more from now on, and its issuer is told after. @returns whether there was one */
export const revokeGrant = (executor: Executor, key: GrantKey): Promise<boolean> =>
  guarded(async () => {
    const revoked = await executor
      .update(backendGrants)
      .set({ revokedAt: sql`now()` })
      .where(and(at(key), isNull(backendGrants.revokedAt)))
      .returning({ server: backendGrants.server });
    return revoked.length > 0;
  });
