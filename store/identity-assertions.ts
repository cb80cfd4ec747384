import { and, desc, eq, exists, lt, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Tenancy } from '../schema/ids.ts';
import { identityAssertions, people } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';
import { type ContentKeys, seal, unseal } from './secrets/seal.ts';

export type ProviderKey = Tenancy & { provider: string };

const TokensSchema = z.object({ idToken: z.string(), refreshToken: z.string().optional() });
/** Of one login at an identity provider. */
export type IdentityAssertion = ProviderKey & { personId: string; issuer: string; expiresAt: Date; tokens: z.infer<typeof TokensSchema> };

type Row = typeof identityAssertions.$inferSelect;
type Named = ProviderKey & { personId: string; issuer: string };
export const assertionContext = ({ org, project, provider, personId, issuer }: Named): string =>
  JSON.stringify(['identity', org, project, provider, personId, issuer]);
const ofProvider = ({ org, project, provider }: ProviderKey) =>
  and(eq(identityAssertions.org, org), eq(identityAssertions.project, project), eq(identityAssertions.provider, provider));

/** What identity providers said of people, sealed with a key that the table does not hold. */
export const createAssertionStore = (database: Database, keys: ContentKeys) => {
  const opened = (row: Row): IdentityAssertion => ({
    ...row,
    tokens: TokensSchema.parse(JSON.parse(unseal(keys, row.sealed, assertionContext(row)).toString('utf8'))),
  });
  return {
    put: ({ tokens, ...assertion }: IdentityAssertion): Promise<void> =>
      guarded(async () => {
        const { org, project, provider, personId, issuer, expiresAt } = assertion;
        const sealed = seal(keys, Buffer.from(JSON.stringify(tokens)), assertionContext(assertion));
        const values = { org, project, provider, personId, issuer, expiresAt, sealed, createdAt: sql`now()` };
        await database
          .insert(identityAssertions)
          .values(values)
          .onConflictDoUpdate({
            target: [identityAssertions.org, identityAssertions.project, identityAssertions.provider, identityAssertions.personId],
            set: values,
          });
      }),
    /** @param personId - undefined: of whoever logged in last and is not shut out since */
    find: (key: ProviderKey, personId: string | undefined): Promise<IdentityAssertion | undefined> =>
      guarded(async () => {
        const letIn = database
          .select({ id: people.id })
          .from(people)
          .where(and(eq(people.org, identityAssertions.org), eq(people.id, identityAssertions.personId), eq(people.disabled, false)));
        const [row] = await database
          .select()
          .from(identityAssertions)
          .where(and(ofProvider(key), personId === undefined ? exists(letIn) : eq(identityAssertions.personId, personId)))
          .orderBy(desc(identityAssertions.createdAt))
          .limit(1);
        return row && opened(row);
      }),
    /** Takes away those that ended, and cannot be renewed any more, so long ago. */
    removeOld: (olderThanMs: number): Promise<void> =>
      guarded(async () => {
        const since = sql`now() - ${olderThanMs} * interval '1 millisecond'`;
        await database.delete(identityAssertions).where(lt(identityAssertions.createdAt, since));
      }),
  };
};
export type AssertionStore = ReturnType<typeof createAssertionStore>;
