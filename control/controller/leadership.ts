import type { PoolClient } from 'pg';
import type { Database } from '../../store/database.ts';

/** The advisory lock of the one controller that works; Postgres frees it with the connection. */
const lockKey = '7420000000000001';

/**
 * Leadership by an advisory lock on a connection of its own: whoever loses the connection loses the lead, and another controller
 * can take it.
 */
export const createLeadership = (database: Database) => {
  let held: PoolClient | undefined;

  const giveUp = (): void => {
    const client = held;
    held = undefined;
    client?.release(true);
  };

  /** Says whether this controller leads, and takes the lead where nobody has it. @throws when the database is away */
  const hold = async (): Promise<boolean> => {
    if (held) {
      try {
        await held.query('select 1');
        return true;
      } catch (error) {
        giveUp();
        throw error;
      }
    }
    const client = await database.$client.connect();
    try {
      const { rows } = await client.query<{ leads: boolean }>('select pg_try_advisory_lock($1::bigint) as leads', [lockKey]);
      if (!rows[0]?.leads) {
        client.release();
        return false;
      }
    } catch (error) {
      client.release(true);
      throw error;
    }
    held = client;
    client.on('error', () => {
      if (held === client) giveUp();
    });
    return true;
  };

  return { hold, giveUp };
};
