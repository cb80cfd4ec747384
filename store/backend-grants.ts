import { randomUUID } from 'node:crypto';
import { and, eq, isNotNull, isNull, lt, or, sql } from 'drizzle-orm';
import { z } from 'zod';
import { ProofKeySchema } from '../schema/backend-credential.ts';
import type { Tenancy } from '../schema/ids.ts';
import { backendClients, backendGrants, people } from '../schema/tables/tables.ts';
import { type Database, type Executor, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

export type ServerOfGrant = Tenancy & { server: string };
export type GrantKey = ServerOfGrant & { personId: string };

/**
 * `proofKey` is what they are bound to: a refresh token of a client without a secret is, where one was shown, even when the access token says
 * `Bearer`; `isBound` is said of the access token.
 */
const TokensSchema = z.object({
  accessToken: z.string(),
  refreshToken: z.string().optional(),
  proofKey: ProofKeySchema.optional(),
  isBound: z.boolean().optional(),
});
export type GrantTokens = z.infer<typeof TokensSchema>;

type Row = typeof backendGrants.$inferSelect;
/** A grant as it may be shown: without its tokens. */
export type ListedGrant = Omit<Row, 'sealed' | 'renewalClaim' | 'renewalUntil'>;
export type BackendGrant = ListedGrant & { tokens: GrantTokens };
/** What became of the attempt to renew a grant; after no answer nobody tries again for a while. */
export type RenewalOutcome =
  | ({ kind: 'renewed'; scopes?: string[] } & Pick<NewGrant, 'tokens' | 'expiresAt'>)
  | { kind: 'unchanged' }
  | { kind: 'ended' }
  | { kind: 'unanswered'; pauseMs: number };
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
  const opened = ({ sealed, renewalClaim: _claim, renewalUntil: _until, ...grant }: Row): BackendGrant => ({
    ...grant,
    tokens: TokensSchema.parse(JSON.parse(unseal(keys, sealed, grantContext(grant)).toString('utf8'))),
  });

  /** Nobody renews it now, or whoever began to did not end. */
  const isFree = or(isNull(backendGrants.renewalUntil), lt(backendGrants.renewalUntil, sql`now()`));
  const inMs = (ms: number) => sql`now() + ${ms} * interval '1 millisecond'`;
  const free = { renewalClaim: null, renewalUntil: null };

  return {
    find: (key: GrantKey): Promise<BackendGrant | undefined> =>
      guarded(async () => {
        const [row] = await database
          .select()
          .from(backendGrants)
          .where(and(at(key), isNull(backendGrants.revokedAt)));
        return row && opened(row);
      }),
    /**
     * The grants for a server as it is declared now, of people who are not shut out; whoever gave theirs first comes first, so that it does not
     * change with everybody who comes.
     */
    listUsable: (server: ServerOfGrant, { uid, url }: { uid: string; url: string }): Promise<BackendGrant[]> =>
      guarded(async () => {
        const isLetIn = and(eq(people.org, backendGrants.org), eq(people.id, backendGrants.personId), eq(people.disabled, false));
        const rows = await database
          .select({ grant: backendGrants })
          .from(backendGrants)
          .innerJoin(people, isLetIn)
          .where(and(ofServer(server), eq(backendGrants.serverUid, uid), eq(backendGrants.url, url), isNull(backendGrants.revokedAt)))
          .orderBy(backendGrants.createdAt, backendGrants.personId)
          .limit(20);
        return rows.map(({ grant }) => opened(grant));
      }),
    /**
     * Puts a grant in the place of the person's earlier one. Whoever renews that one just now keeps nothing of it.
     * @returns false where that was taken back and its issuer has not been told yet: nothing is changed then
     */
    put: ({ tokens, ...grant }: NewGrant): Promise<boolean> =>
      guarded(async () => {
        const sealed = sealTokens(grant, tokens);
        const values = { ...grant, ...free, sealed, createdAt: sql`now()`, refreshedAt: sql`now()`, revokedAt: null };
        const put = await database
          .insert(backendGrants)
          .values(values)
          .onConflictDoUpdate({
            target: [backendGrants.org, backendGrants.project, backendGrants.server, backendGrants.personId],
            set: values,
            setWhere: isNull(backendGrants.revokedAt),
          })
          .returning({ server: backendGrants.server });
        return put.length > 0;
      }),
    /**
     * Takes a grant to renew it: until `leaseMs` are over, or it is settled, nobody else can. No lock and no connection is held meanwhile.
     * @returns the grant as it is by now, and by what to settle it; undefined where somebody else renews it, or there is none
     */
    claim: (key: GrantKey, leaseMs: number): Promise<{ claim: string; grant: BackendGrant } | undefined> =>
      guarded(async () => {
        const claim = randomUUID();
        const [row] = await database
          .update(backendGrants)
          .set({ renewalClaim: claim, renewalUntil: inMs(leaseMs) })
          .where(and(at(key), isNull(backendGrants.revokedAt), isFree))
          .returning();
        return row && { claim, grant: opened(row) };
      }),
    /**
     * Writes down what became of a grant that was claimed. One that was taken back meanwhile keeps its new tokens, so that these are ended at
     * their issuer; one that was given anew, or that somebody else has claimed since, is left as it is.
     */
    settle: (grant: BackendGrant, claim: string, outcome: RenewalOutcome): Promise<void> =>
      guarded(async () => {
        const claimed = and(at(grant), eq(backendGrants.renewalClaim, claim));
        if (outcome.kind === 'ended') await database.delete(backendGrants).where(claimed);
        else if (outcome.kind === 'unchanged') await database.update(backendGrants).set(free).where(claimed);
        else if (outcome.kind === 'unanswered')
          await database
            .update(backendGrants)
            .set({ renewalUntil: inMs(outcome.pauseMs) })
            .where(claimed);
        else {
          const { tokens, expiresAt, scopes = grant.scopes } = outcome;
          const sealed = sealTokens(grant, tokens);
          await database
            .update(backendGrants)
            .set({ ...free, sealed, expiresAt, scopes, refreshedAt: sql`now()` })
            .where(claimed);
        }
      }),
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
          .where(and(isNull(backendGrants.revokedAt), lt(backendGrants.expiresAt, inMs(withinMs)), isFree))
          .limit(200),
      ),
    /** Those that people took back and whose issuer has not been told. */
    listRevoked: (key?: GrantKey): Promise<BackendGrant[]> =>
      guarded(async () => {
        // one that is being renewed has its last tokens when that is over
        const revoked = and(isNotNull(backendGrants.revokedAt), isFree, key && at(key));
        return (await database.select().from(backendGrants).where(revoked).limit(50)).map(opened);
      }),
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
    return rows.map(({ sealed: _tokens, renewalClaim: _claim, renewalUntil: _until, ...grant }) => grant);
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
