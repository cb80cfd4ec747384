import { beforeAll, expect, test } from 'vitest';
import { findPerson, findPersonByToken, replacePersonToken, seedPeople } from '../../store/people.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
beforeAll(() => seedPeople(database(), 'default', [{ id: 'admin', groups: [], roles: ['administrator'] }]));

test('finds a person by the token last given, and no longer by the one before', async () => {
  const give = (token: string) => replacePersonToken(database(), { org: 'default', personId: 'admin', stamp: 'admin-token', token });
  await give('qd_first');
  await give('qd_second');
  expect(await findPersonByToken(database(), 'qd_first', new Date())).toBeUndefined();
  expect(await findPersonByToken(database(), 'qd_second', new Date())).toMatchObject({ id: 'admin', roles: ['administrator'] });
});

test('keeps the hash of a token alone', async () => {
  const { rows } = await database().$client.query('select * from person_tokens');
  expect(rows).toHaveLength(1);
  expect(JSON.stringify(rows)).not.toContain('qd_');
});

test('knows no person whose token has expired, or who is disabled', async () => {
  await replacePersonToken(database(), { org: 'default', personId: 'admin', stamp: 'session', token: 'qd_session' });
  await database().$client.query("update person_tokens set expires_at = '2026-01-02' where stamp = 'session'");
  const at = (day: string) => findPersonByToken(database(), 'qd_session', new Date(day));
  expect(await at('2026-01-01')).toMatchObject({ id: 'admin' });
  expect(await at('2026-01-03')).toBeUndefined();
  await database().$client.query('update people set disabled = true');
  expect(await at('2026-01-01')).toBeUndefined();
});

test('brings the groups and roles of a person to what is seeded', async () => {
  await seedPeople(database(), 'default', [{ id: 'admin', groups: ['ops'], roles: [] }]);
  expect(await findPerson(database(), 'default', 'admin')).toMatchObject({ groups: ['ops'], roles: [] });
  expect(await findPerson(database(), 'default', 'nobody')).toBeUndefined();
});
