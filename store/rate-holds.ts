import { and, eq, sql } from 'drizzle-orm';
import type { Tenancy } from '../schema/ids.ts';
import type { RateHold, RateHoldKey } from '../schema/rate-hold.ts';
import { rateHolds } from '../schema/tables/tables.ts';
import { type Database, guarded } from './database.ts';

/** The channel on which each change of what is held is told. */
export const rateHoldsChannel = 'quarterdeck_rate_holds';

const sameAs = ({ org, project, kind, name }: RateHoldKey) =>
  and(eq(rateHolds.org, org), eq(rateHolds.project, project), eq(rateHolds.kind, kind), eq(rateHolds.name, name));

const holdOf = ({ heldAt, ...row }: typeof rateHolds.$inferSelect): RateHold => ({ ...row, heldAt: heldAt.toISOString() });

/** What is held to less than declared: of all, or of one project. */
export const listRateHolds = (database: Database, place?: Tenancy): Promise<RateHold[]> =>
  guarded(async () => {
    const here = place && and(eq(rateHolds.org, place.org), eq(rateHolds.project, place.project));
    return (await database.select().from(rateHolds).where(here).orderBy(rateHolds.kind, rateHolds.name)).map(holdOf);
  });

export const findRateHold = (database: Database, key: RateHoldKey): Promise<RateHold | undefined> =>
  guarded(async () => {
    const [row] = await database.select().from(rateHolds).where(sameAs(key));
    return row && holdOf(row);
  });

/** Holds a caller or server to so many calls of tools a minute, in place of what it was held to. */
export const putRateHold = (database: Database, { heldAt: _now, ...hold }: Omit<RateHold, 'heldAt'> & { heldAt?: never }): Promise<void> =>
  guarded(async () => {
    const { callsPerMinute, operationId } = hold;
    await database
      .insert(rateHolds)
      .values(hold)
      .onConflictDoUpdate({
        target: [rateHolds.org, rateHolds.project, rateHolds.kind, rateHolds.name],
        set: { callsPerMinute, operationId, heldAt: sql`now()` },
      });
    await database.execute(sql`select pg_notify(${rateHoldsChannel}, '')`);
  });

/** Lets go of it: what is declared holds again, and nothing else. @returns what it was held to; undefined where it was not */
export const removeRateHold = (database: Database, key: RateHoldKey): Promise<RateHold | undefined> =>
  guarded(async () => {
    const [row] = await database.delete(rateHolds).where(sameAs(key)).returning();
    if (row) await database.execute(sql`select pg_notify(${rateHoldsChannel}, '')`);
    return row && holdOf(row);
  });

/** Forgets what agents were held to whose work is over, and servers that are not declared any more. @returns how many */
export const forgetOldHolds = (database: Database): Promise<number> =>
  guarded(async () => {
    const { rowCount } = await database.$client.query(
      `delete from rate_holds h where held_at < now() - interval '1 minute' and (
        (kind = 'Agent' and not exists (select 1 from agents a where a.id = h.name and a.state in ('pending', 'running', 'parked')))
        or (kind = 'McpServer' and not exists (
          select 1 from resources r where r.kind = 'McpServer' and r.org = h.org and r.project = h.project and r.name = h.name)))`,
    );
    return rowCount ?? 0;
  });
