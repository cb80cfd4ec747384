import { afterAll, beforeAll, expect, test } from 'vitest';
import { failuresIn, startFixtureFront } from '../../support/conformance/fixture-front.ts';
import { startModernFixture } from '../../support/conformance/modern-server.ts';
import { runScenarios, scenariosOf } from '../../support/conformance/run-scenarios.ts';

let front: Awaited<ReturnType<typeof startFixtureFront>>;
beforeAll(async () => {
  front = await startFixtureFront(startModernFixture);
});
afterAll(() => front.close());

test('one URL passes every scenario that 2026-07-28 and 2025-11-25 require of servers, with both revisions at it at once', async () => {
  const revisions = ['2026-07-28', '2025-11-25'];
  const found = await Promise.all(revisions.map((revision) => runScenarios('server', ['--url', front.url, '--requirements', revision])));
  const failures = revisions.flatMap((revision, index) =>
    scenariosOf(revision, 'server').flatMap((scenario) =>
      failuresIn(found[index]?.get(scenario)).map((failure) => `${revision}: ${scenario}: ${failure}`),
    ),
  );
  expect(failures).toEqual([]);
  expect(scenariosOf('2026-07-28', 'server').length).toBeGreaterThan(30);
});
