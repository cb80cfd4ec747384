import type { PoolClient } from 'pg';
import type { Database } from '../../store/database.ts';

/** Advisory locks, each of the one process that does a thing; Postgres frees them with the connection. */
export const leaderLocks = {
  controller: '7420000000000001',
  /** Looks at targets that are seen as an agent. */
  agentTargets: '7420000000000002',
} as const;

/**
 * Leadership by an advisory lock on a connection of its own: whoever loses the connection loses the lead, and another controller
 * can take it.
 */
export const createLeadership = (database: Database, lockKey: string = leaderLocks.controller) => {
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
