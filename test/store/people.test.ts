import { afterAll, beforeAll, expect, test } from 'vitest';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { findPersonByToken, replacePersonToken, seedPeople } from '../../store/people.ts';
import { startTestDatabase } from '../support/postgres.ts';

let database: Database;
let close: () => Promise<void>;

beforeAll(async () => {
  const started = await startTestDatabase();
  database = openDatabase({ url: started.url, name: 'test' });
  close = started.close;
  await seedPeople(database, 'default', [{ id: 'admin', groups: [], roles: ['administrator'] }]);
});

afterAll(async () => {
  await closeDatabase(database);
  await close();
});

test('finds a person by the token last given, and no longer by the one before', async () => {
  const give = (token: string) => replacePersonToken(database, { org: 'default', personId: 'admin', stamp: 'admin-token', token });
  await give('qd_first');
  await give('qd_second');
  expect(await findPersonByToken(database, 'qd_first', new Date())).toBeUndefined();
  expect(await findPersonByToken(database, 'qd_second', new Date())).toMatchObject({ id: 'admin', roles: ['administrator'] });
});

test('keeps the hash of a token alone', async () => {
  const { rows } = await database.$client.query('select * from person_tokens');
  expect(JSON.stringify(rows)).not.toContain('qd_');
});
