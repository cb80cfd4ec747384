import { type Database, guarded } from './database.ts';

export type RateGrant = { granted: number; windowLeftMs: number };
/** Takes up to `slice` calls of the `limit` that a window has, for whoever spends them until it ends. */
export type TakeRate = (asked: { key: string; windowSeconds: number; slice: number; limit: number }) => Promise<RateGrant>;

/**
 * One statement, so that of several gateways that take at the same moment none gets what another has. Windows are told by the database's
 * clock. Of one that has not begun yet by that clock nothing is given.
 */
const take = `
insert into rate_windows as w (key, started_at, taken, granted)
values ($1, to_timestamp(floor(extract(epoch from now()) / $2::int) * $2::int), least($3::int, $4::int), least($3::int, $4::int))
on conflict (key) do update set
  started_at = greatest(w.started_at, excluded.started_at),
  taken = case when w.started_at < excluded.started_at then excluded.taken
               else w.taken + case when w.started_at > excluded.started_at then 0 else greatest(0, least($3::int, $4::int - w.taken)) end end,
  granted = case when w.started_at < excluded.started_at then excluded.granted
                 when w.started_at > excluded.started_at then 0
                 else greatest(0, least($3::int, $4::int - w.taken)) end
returning granted, extract(epoch from (started_at + make_interval(secs => $2::int) - now())) * 1000 as left_ms`;

/** Windows of shared rate limits. */
export const createRateWindows = (database: Database): TakeRate => {
  return ({ key, windowSeconds, slice, limit }) =>
    guarded(async () => {
      const { rows } = await database.$client.query<{ granted: number; left_ms: string }>({
        name: 'take-rate',
        text: take,
        values: [key, windowSeconds, slice, limit],
      });
      const [row] = rows;
      return { granted: row?.granted ?? 0, windowLeftMs: Number(row?.left_ms ?? 1000) };
    });
};

/** Puts back one of a window that was taken and not spent. */
export type GiveBackRate = (taken: { key: string; windowSeconds: number }) => Promise<void>;

const giveBack = `
update rate_windows set taken = greatest(0, taken - 1)
where key = $1 and started_at = to_timestamp(floor(extract(epoch from now()) / $2::int) * $2::int)`;

/** Gives back to the window that is now; one that is over has nothing to give. */
export const createGiveBackRate = (database: Database): GiveBackRate => {
  return ({ key, windowSeconds }) =>
    guarded(async () => {
      await database.$client.query({ name: 'give-back-rate', text: giveBack, values: [key, windowSeconds] });
    });
};

/** Forgets windows that ended long ago: those of runs that are over are never asked for again. @returns how many */
export const forgetOldWindows = (database: Database): Promise<number> =>
  guarded(
    async () => (await database.$client.query(`delete from rate_windows where started_at < now() - interval '2 days'`)).rowCount ?? 0,
  );
