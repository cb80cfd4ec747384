import { expect, test } from 'vitest';
import { createAssertionStore } from '../../store/identity-assertions.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();

test('nobody in particular is whoever logged in last and is not shut out since', async () => {
  const store = createAssertionStore(database(), deriveContentKeys(Buffer.alloc(32, 3).toString('base64'), 'assertions'));
  const key = { org: 'default', project: 'default', provider: 'company' };
  const expiresAt = new Date('2026-11-30T08:00:00Z');
  for (const personId of ['ada', 'bob', 'nobody']) {
    if (personId !== 'nobody') await database().$client.query("insert into people (org, id) values ('default', $1)", [personId]);
    await store.put({ ...key, personId, issuer: 'https://login.example', expiresAt, tokens: { idToken: `of-${personId}` } });
  }
  expect((await store.find(key, undefined))?.personId).toBe('bob');
  await database().$client.query("update people set disabled = true where id = 'bob'");
  expect((await store.find(key, undefined))?.personId).toBe('ada');
  expect((await store.find(key, 'nobody'))?.tokens.idToken).toBe('of-nobody');
});
