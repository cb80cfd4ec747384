import type { Logger } from '../telemetry/logger.ts';
import { type Database, guarded } from './database.ts';
import { listenTo } from './listen-to.ts';

export type PlacesAsked = {
  key: string;
  gateway: string;
  /** What the gateway holds already, or uses though its lease is over: that is never taken from it. */
  held: number;
  more: number;
  /** How many all gateways may hold together. */
  limit: number;
  leaseSeconds: number;
};
export type PlacesTaken = {
  more: number;
  /** Whether other gateways hold places of this key. */
  isHeldElsewhere: boolean;
};
export type HeldPlaces = { key: string; isWanted: boolean };

/** Places of limits of how many calls run at a time, which gateways hold by leases. */
export type RatePlaces = {
  /** @returns how many more the gateway holds from now on; with none, the others are told that one is wanted */
  take(asked: PlacesAsked): Promise<PlacesTaken>;
  /** Prolongs all leases of a gateway that are not over. @returns those */
  renew(gateway: string, leaseSeconds: number): Promise<HeldPlaces[]>;
  /** Leaves the gateway so many places of a key; it was not wanted more than that. */
  keep(held: { key: string; gateway: string; places: number }): Promise<void>;
  /** Gives back whatever a gateway holds, at its end. */
  leave(gateway: string): Promise<void>;
  /** Calls back when some gateway wants places, and each time listening begins. @returns what ends that */
  onWanted(look: () => void): () => void;
};

/** By the clock of the moment: a transaction that waited for the lock began long before. */
const takePlaces = `
with others as (
  select coalesce(sum(places), 0)::int as places from rate_places
  where key = $1 and gateway <> $2 and expires_at > clock_timestamp()
), granted as (
  select greatest(0, least($4::int, $5::int - $3::int - others.places)) as more from others
), mine as (
  insert into rate_places (key, gateway, places, expires_at)
  select $1, $2, $3::int + more, clock_timestamp() + make_interval(secs => $6::int) from granted where $3::int + more > 0
  on conflict (key, gateway) do update set places = excluded.places, expires_at = excluded.expires_at
), wanted as (
  update rate_places set is_wanted = true where key = $1 and gateway <> $2 and (select more from granted) = 0
  returning key
), told as (
  select pg_notify('quarterdeck_places', '') from (select from wanted limit 1) as one
)
select more, places > 0 as "isHeldElsewhere", (select count(*) from told) from granted, others`;

/** A lease that ends in this very moment is not prolonged: somebody may be taking its places. */
const renewPlaces = `
update rate_places set expires_at = clock_timestamp() + make_interval(secs => $2::int)
where gateway = $1 and expires_at > clock_timestamp() + interval '1 second'
returning key, is_wanted as "isWanted"`;

export const createRatePlaces = (database: Database, logger: Logger): RatePlaces => {
  const run = (text: string, values: unknown[]): Promise<void> => guarded(async () => void (await database.$client.query(text, values)));
  return {
    take: ({ key, gateway, held, more, limit, leaseSeconds }) =>
      guarded(async () => {
        const client = await database.$client.connect();
        let isBroken = false;
        try {
          await client.query('begin');
          // one at a time for each key, over all gateways; what is read after it is what the last one left
          await client.query(`select pg_advisory_xact_lock(hashtextextended('rate_places ' || $1, 0))`, [key]);
          const { rows } = await client.query<PlacesTaken>(takePlaces, [key, gateway, held, more, limit, leaseSeconds]);
          await client.query('commit');
          return rows[0] ?? { more: 0, isHeldElsewhere: false };
        } catch (error) {
          isBroken = await client.query('rollback').then(
            () => false,
            () => true,
          );
          throw error;
        } finally {
          client.release(isBroken);
        }
      }),
    renew: (gateway, leaseSeconds) =>
      guarded(async () => {
        const { rows } = await database.$client.query<HeldPlaces>({
          name: 'renew-places',
          text: renewPlaces,
          values: [gateway, leaseSeconds],
        });
        return rows;
      }),
    keep: ({ key, gateway, places }) =>
      places > 0
        ? run('update rate_places set places = $3, is_wanted = false where key = $1 and gateway = $2', [key, gateway, places])
        : run('delete from rate_places where key = $1 and gateway = $2', [key, gateway]),
    leave: (gateway) => run('delete from rate_places where gateway = $1', [gateway]),
    onWanted: (look) => listenTo('quarterdeck_places', { database, logger, onMessage: look, onListening: look }).close,
  };
};

/** Forgets what gateways held that died. */
export const forgetLostPlaces = (database: Database): Promise<number> =>
  guarded(
    async () => (await database.$client.query(`delete from rate_places where expires_at < now() - interval '1 minute'`)).rowCount ?? 0,
  );
