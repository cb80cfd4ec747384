import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import { backendGrants } from '../schema/tables/tables.ts';
import { atGrant, type GrantKey, type ListedGrant } from './backend-grants.ts';
import { type Database, type Executor, guarded } from './database.ts';

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
      .where(and(atGrant(key), isNull(backendGrants.revokedAt)))
      .returning({ server: backendGrants.server });
    return revoked.length > 0;
  });
