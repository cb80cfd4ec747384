import { expect, test } from 'vitest';
import { createUsedRoundStore } from '../../store/mcp-used-rounds.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();

test('the first use of a round stands, also when many come at once, until nobody may go on with it', async () => {
  const rounds = createUsedRoundStore(database());
  const expiresAt = new Date(10_000);
  const uses = Array.from({ length: 8 }, (_, index) => ({ operationId: `op-${index}`, answersDigest: 'same' }));
  const stand = await Promise.all(uses.map((use) => rounds.use('round', use, expiresAt)));
  expect(new Set(stand.map(({ operationId }) => operationId)).size).toBe(1);
  await rounds.removeExpired(new Date(9999));
  expect(await rounds.use('round', { operationId: 'late', answersDigest: 'other' }, expiresAt)).toEqual(stand[0]);
  await rounds.removeExpired(expiresAt);
  const next = { operationId: 'late', answersDigest: 'other' };
  expect(await rounds.use('round', next, expiresAt)).toEqual(next);
});
