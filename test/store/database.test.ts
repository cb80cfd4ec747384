import { sql } from 'drizzle-orm';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PlatformError } from '../../schema/errors.ts';
import { closeDatabase, type Database, guarded, openDatabase } from '../../store/database.ts';
import { startTestDatabase } from '../support/postgres.ts';

let database: Database;
let databaseUrl: string;
let drop: () => Promise<void>;

beforeAll(async () => {
  const { url, close } = await startTestDatabase();
  databaseUrl = url;
  database = openDatabase({ url, name: 'test' });
  drop = close;
});
afterAll(async () => {
  await closeDatabase(database);
  await drop();
});

const failureOf = async (work: () => Promise<unknown>): Promise<PlatformError> => {
  try {
    await guarded(work);
  } catch (error) {
    return error as PlatformError;
  }
  throw new Error('it did not fail');
};

test('a refused statement says nothing of its parameters, not even to the log', async () => {
  const error = await failureOf(() => database.execute(sql`select ${'SECRET-VALUE'}::int`));
  expect(error).toMatchObject({ code: 'internal' });
  const cause = error.cause as Error;
  expect(cause.stack).toContain('    at ');
  const everything = `${error.message} ${JSON.stringify(error)} ${cause.message} ${cause.stack}`;
  expect(everything).not.toContain('SECRET-VALUE');
});

test('a database that does not answer is unavailable, which may be tried again', async () => {
  const away = openDatabase({ url: 'postgres://nobody@127.0.0.1:1/none', name: 'test' });
  const error = await failureOf(() => away.execute(sql`select 1`));
  expect(error).toMatchObject({ code: 'store_unavailable', isRetryable: true });
  await closeDatabase(away);
});

test('audit rows can be added, and neither changed nor taken away', async () => {
  await database.execute(
    sql`insert into audit_events (kind, org, project, action, decision, decision_id, outcome, writer, epoch, link, position, digest) values ('call', 'o', 'p', 'a', 'allow', 'd', 'ok', 'w', 1, 1, 1, '')`,
  );
  for (const statement of [sql`update audit_events set action = 'b'`, sql`delete from audit_events`, sql`truncate audit_events`])
    expect((await failureOf(() => database.execute(statement))).cause).toMatchObject({
      message: expect.stringContaining('only ever added'),
    });
});

test('a connection that is cut in the middle of a transaction is an unavailable database, and the next one works', async () => {
  const error = await failureOf(() =>
    database.transaction(async (transaction) => {
      const { rows } = await transaction.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
      await database.execute(sql`select pg_terminate_backend(${rows[0]?.pid})`);
      await new Promise((resolve) => setImmediate(resolve)); // the break is heard while nothing is being asked
      await transaction.execute(sql`select 1`);
    }),
  );
  expect(error).toMatchObject({ code: 'store_unavailable' });
  expect((await database.execute(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);
});

test('a connection that breaks before its transaction has begun goes back all the same, and the pool can be used and closed', async () => {
  const own = openDatabase({ url: databaseUrl, name: 'test-broken', max: 1 });
  const { connect } = own.$client;
  const connectAnew: () => Promise<PoolClient> = connect.bind(own.$client);
  own.$client.connect = (async () => {
    const client = await connectAnew();
    const { rows } = await client.query('select pg_backend_pid() as pid');
    await database.execute(sql`select pg_terminate_backend(${rows[0].pid})`);
    return client;
  }) as never;
  expect(await failureOf(() => own.transaction(async () => undefined))).toMatchObject({ code: 'store_unavailable' });
  own.$client.connect = connect;
  expect((await own.execute(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);
  await closeDatabase(own);
});
