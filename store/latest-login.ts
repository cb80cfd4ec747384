import { and, desc, eq, isNotNull, sql } from 'drizzle-orm';
import { issuerRecords } from '../schema/tables/tables.ts';
import { type Executor, guarded } from './database.ts';

/**
 * When a person has last shown who they are, in seconds since the epoch, and how well: of the logins that are good now. Undefined of whom no
 * login is known. For answers that come by a way that says who somebody is, and not when they proved it.
 */
export const findLatestLogin = (executor: Executor, org: string, person: string): Promise<{ authTime: number; acr?: string } | undefined> =>
  guarded(async () => {
    const authTime = sql<string>`${issuerRecords.payload}->>'authTime'`;
    const [row] = await executor
      .select({ authTime, acr: sql<string | null>`${issuerRecords.payload}->>'acr'` })
      .from(issuerRecords)
      .where(
        and(
          eq(issuerRecords.account, `${org}/${person}`),
          eq(issuerRecords.model, 'RefreshToken'),
          isNotNull(authTime),
          sql`(${issuerRecords.expiresAt} is null or ${issuerRecords.expiresAt} > now())`,
        ),
      )
      .orderBy(desc(sql`(${authTime})::bigint`))
      .limit(1);
    return row && { authTime: Number(row.authTime), ...(row.acr === null ? {} : { acr: row.acr }) };
  });
