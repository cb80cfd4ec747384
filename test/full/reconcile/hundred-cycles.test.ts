import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import { useTestDatabase } from '../../support/store-database.ts';

const { database } = useTestDatabase();
let place: ReconcilePlace;
beforeAll(async () => {
  place = await startReconcilePlace({ database: database() });
});
afterAll(() => place.close());

test('a hundred cycles of drift keep each history short, and a hundred looks at a clean target write nothing', {
  timeout: 900_000,
}, async () => {
  const name = place.newName();
  const limits = { cooldownSeconds: 0, fixesPerHour: 1000, revertsBeforeContested: 20 };
  await place.declare(name, { limits });
  let longest = 0;
  for (let cycle = 1; cycle <= 100; cycle += 1) {
    // a day later, so that nobody seems to take it back
    place.time.offsetMs += 25 * 3_600_000;
    place.world.remove(deploymentRef());
    await place.start(name);
    await place.ended(name);
    expect(place.world.effects.length).toBe(cycle);
    longest = Math.max(longest, (await place.history(name)).length);
  }
  expect(longest).toBeLessThan(4_096);
  const { changedAt } = (await place.rowOf(name)) ?? {};
  for (let look = 0; look < 100; look += 1) {
    await place.start(name);
    await place.ended(name);
  }
  expect(place.world.effects.length).toBe(100);
  expect((await place.rowOf(name))?.changedAt, 'its row is not written either').toBe(changedAt);
});
