import { randomUUID } from 'node:crypto';
import { and, eq, isNotNull, isNull, lt, or, sql } from 'drizzle-orm';
import { z } from 'zod';
import { ProofKeySchema } from '../schema/backend-credential.ts';
import type { Tenancy } from '../schema/ids.ts';
import { backendGrants, people } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
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
const ofServer = ({ org, project, server }: ServerOfGrant) =>
  and(eq(backendGrants.org, org), eq(backendGrants.project, project), eq(backendGrants.server, server));
/** The row of one grant. */
export const atGrant = (key: GrantKey) => and(ofServer(key), eq(backendGrants.personId, key.personId));

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
          .where(and(atGrant(key), isNull(backendGrants.revokedAt)));
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
          .where(and(atGrant(key), isNull(backendGrants.revokedAt), isFree))
          .returning();
        return row && { claim, grant: opened(row) };
      }),
    /**
     * Writes down what became of a grant that was claimed. One that was taken back meanwhile keeps its new tokens, so that these are ended at
     * their issuer; one that was given anew, or that somebody else has claimed since, is left as it is.
     */
    settle: (grant: BackendGrant, claim: string, outcome: RenewalOutcome): Promise<void> =>
      guarded(async () => {
        const claimed = and(atGrant(grant), eq(backendGrants.renewalClaim, claim));
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
        const revoked = and(isNotNull(backendGrants.revokedAt), isFree, key && atGrant(key));
        return (await database.select().from(backendGrants).where(revoked).limit(50)).map(opened);
      }),
    remove: (key: GrantKey): Promise<void> =>
      guarded(async () => {
        await database.delete(backendGrants).where(and(atGrant(key), isNotNull(backendGrants.revokedAt)));
      }),
  };
};
export type GrantStore = ReturnType<typeof createGrantStore>;
