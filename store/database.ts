import { fileURLToPath } from 'node:url';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import pg from 'pg';
import { isPlatformError, PlatformError } from '../schema/errors.ts';
import * as tables from '../schema/tables/tables.ts';

export type Database = NodePgDatabase<typeof tables> & { $client: pg.Pool };
/** How tables and columns are called there. */
const mapping = { schema: tables, casing: 'snake_case' } as const;
/** A database or a transaction of it. */
export type Executor = Pick<Database, 'select' | 'insert' | 'update' | 'delete' | 'execute' | 'transaction'>;

/**
 * 53300 too many connections; 57P01-03 shutting down or starting; 08* connection lost; 25006 a standby that has not taken over yet; 53100 and
 * 53200 no disk or memory left.
 */
const unavailableStates = /^(53[123]00|57P0[123]|08\w{3}|25006)$/;
const unavailableCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND']);

const causeChain = (error: unknown): unknown[] => {
  const chain: unknown[] = [];
  for (let current = error; current !== undefined && current !== null && chain.length < 8; current = (current as { cause?: unknown }).cause)
    chain.push(current);
  return chain;
};

/** Says whether the database could not be reached, as against refusing a statement. */
export const isUnavailable = (error: unknown): boolean =>
  causeChain(error).some((link) => {
    const { code, message } = link as { code?: string; message?: string };
    return (
      (code !== undefined && (unavailableStates.test(code) || unavailableCodes.has(code))) ||
      /Connection terminated|timeout exceeded when trying to connect|not queryable/.test(message ?? '')
    );
  });

/** SQLSTATE classes whose messages quote values: data exceptions and violated constraints. */
const quotesValues = /^2[23]/;

/** The driver's own words alone: drizzle puts a statement's parameters into its message, and Postgres values into its details. */
const withoutParameters = (error: unknown): Error => {
  const origin = causeChain(error).at(-1) as Partial<Error & { code: string }>;
  const words = quotesValues.test(origin.code ?? '') ? 'a value was refused' : (origin.message ?? '');
  const cleaned = new Error(`${origin.code ?? origin.name ?? 'error'}: ${words}`);
  if (origin.stack)
    cleaned.stack = `${cleaned.message}\n${origin.stack
      .split('\n')
      .filter((line) => line.startsWith('    at '))
      .join('\n')}`;
  return cleaned;
};

/**
 * Runs a piece of work on the database; an unreachable database becomes `store_unavailable` (retryable).
 * The cause is for the log, and holds no parameter of a statement.
 */
export const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (isPlatformError(error)) throw error;
    if (isUnavailable(error))
      throw new PlatformError('store_unavailable', 'The database does not answer; try again in a few seconds.', {
        cause: withoutParameters(error),
      });
    throw new PlatformError('internal', 'The database refused a statement; the log has the cause.', { cause: withoutParameters(error) });
  }
};

/**
 * Transactions that give their connection back whatever happens. The library's own keep it for ever where the connection breaks before
 * they have begun: each restart of the database would take some from the pool, and the pool could not be closed.
 */
const transactionsOf = (pool: pg.Pool): Database['transaction'] => {
  const known = new WeakMap<pg.PoolClient, Pick<Database, 'transaction'>>();
  const on = (client: pg.PoolClient): Pick<Database, 'transaction'> => {
    const found = known.get(client) ?? drizzle({ client, ...mapping });
    known.set(client, found);
    return found;
  };
  return async (work, config) => {
    const client = await pool.connect();
    let isBroken = false;
    try {
      return await on(client).transaction(work, config);
    } catch (error) {
      isBroken = isUnavailable(error);
      throw error;
    } finally {
      client.release(isBroken);
    }
  };
};

/**
 * Opens a pool. A lost connection is noticed by the next query; nothing is thrown in between.
 * @param options.max - connections at most; 10 by default
 */
export const openDatabase = ({ url, max = 10, name }: { url: string; max?: number; name: string }): Database => {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: `quarterdeck-${name}`,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
  });
  // a connection that breaks is noticed by the query on it, or by the next one; without listeners it would end the process
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  const database = drizzle({ client: pool, ...mapping }) as Database;
  database.transaction = transactionsOf(pool);
  return database;
};

const writers = new WeakMap<Database, pg.Pool>();

/**
 * The one connection of this process on which calls are committed in groups, by statements that it keeps prepared. Rows are looked up by
 * their keys there, whatever their number was when a statement was planned: a plan made for an empty table would read all of a full one.
 */
export const writerOf = (database: Database): pg.Pool => {
  const found = writers.get(database);
  if (found) return found;
  const options = '-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off';
  const writer = new pg.Pool({ ...database.$client.options, max: 1, options, allowExitOnIdle: true });
  writer.on('error', () => undefined);
  writer.on('connect', (client) => client.on('error', () => undefined));
  writers.set(database, writer);
  return writer;
};

export const closeDatabase = async (database: Database): Promise<void> => {
  await writers.get(database)?.end();
  await database.$client.end();
};

/** Brings the tables to the version of this release; safe to run by several processes at once. */
export const migrateDatabase = async (url: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url, application_name: 'quarterdeck-migrate' });
  await client.connect();
  try {
    await client.query('select pg_advisory_lock(7420)');
    await migrate(drizzle({ client }), { migrationsFolder: fileURLToPath(new URL('../schema/tables/migrations', import.meta.url)) });
  } finally {
    await client.end();
  }
};
