import { sql } from 'drizzle-orm';
import pino from 'pino';
import { expect, test } from 'vitest';
import { resourceSchemas } from '../../schema/resource.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import { closeDatabase, guarded, migrateDatabase, openDatabase } from '../../store/database.ts';
import { loadDeclared } from '../../store/declared.ts';
import { applyResources } from '../../store/resources.ts';
import { watchDeclared } from '../../store/watch-declared.ts';
import { freePort } from '../support/free-port.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database, url } = useTestDatabase();

test('brings the tables up to date as often as it is asked, by several at once', async () => {
  await Promise.all([migrateDatabase(url()), migrateDatabase(url())]);
});

test('says that the database is away, as against that it refuses a statement, and shows neither text nor parameters', async () => {
  const away = openDatabase({ url: `postgres://user:hunter2@127.0.0.1:${await freePort()}/nowhere`, name: 'test' });
  await expect(guarded(() => away.execute(sql`select 1`))).rejects.toMatchObject({ code: 'store_unavailable', isRetryable: true });
  await closeDatabase(away);
  const refused = guarded(() => database().execute(sql`select ${'private'}::int`));
  await expect(refused).rejects.toMatchObject({ code: 'internal' });
  await expect(refused).rejects.not.toThrow(/private|select/);
});

test('a lost connection is a retryable failure of one query, and the next one works', async () => {
  const killed = guarded(() => database().execute(sql`select pg_terminate_backend(pg_backend_pid())`));
  await expect(killed).rejects.toMatchObject({ code: 'store_unavailable' });
  expect((await database().execute<{ one: number }>(sql`select 1 as one`)).rows).toEqual([{ one: 1 }]);
});

test('hears of what is declared by somebody else, also after its connection was lost', async () => {
  const names: string[][] = [];
  const watch = await watchDeclared({
    database: database(),
    logger: pino({ level: 'silent' }),
    pollMs: 100,
    onChange: (declared) => void names.push(declared.list('Project').map(({ metadata }) => metadata.name)),
  });
  const declare = (name: string) =>
    applyResources(database(), [
      resourceSchemas.Project.parse({ apiVersion, kind: 'Project', metadata: { name, org: 'default', project: name }, spec: {} }),
    ]);
  await declare('first');
  await expect.poll(() => names.at(-1)).toEqual(['first']);
  await database().execute(
    sql`select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%' and pid <> pg_backend_pid() and datname = current_database()`,
  );
  await declare('second');
  await expect.poll(() => names.at(-1), { timeout: 5000 }).toEqual(['first', 'second']);
  await watch.close();
  expect((await loadDeclared(database())).projects()).toEqual([
    { org: 'default', project: 'first' },
    { org: 'default', project: 'second' },
  ]);
});
