import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startProtectedDriver } from '../../support/conformance/drive-protected.ts';
import { failuresIn } from '../../support/conformance/fixture-front.ts';
import { allScenarios, runScenarios, scenariosOf } from '../../support/conformance/run-scenarios.ts';
import { type RunningPeople, startRunningPeople } from '../../support/running-people.ts';
import { baseline } from './baseline.ts';

const driver = join(import.meta.dirname, '../../support/conformance/ask-driver.mjs');
/** Those of extensions, and of a revision that has no list of its own. */
const extensions = [
  'auth/client-credentials-jwt',
  'auth/client-credentials-basic',
  'auth/enterprise-managed-authorization',
  'auth/dpop',
  'auth/dpop-nonce',
  'auth/wif-jwt-bearer',
  'auth/2025-03-26-oauth-metadata-backcompat',
  'auth/2025-03-26-oauth-endpoint-fallback',
];
const revisions = (['2025-11-25', '2026-07-28'] as const).map((revision) => ({
  revision,
  scenarios: [
    ...scenariosOf(revision, 'client').filter((name) => name.startsWith('auth/') && !extensions.includes(name)),
    ...(revision === '2026-07-28' ? extensions : []),
  ],
}));

describe.each(revisions)('conformance: the gateway signs in at servers of $revision', ({ revision, scenarios }) => {
  const secrets: Record<string, string> = {};
  let people: RunningPeople;
  let asked: Awaited<ReturnType<typeof startProtectedDriver>>;
  beforeAll(async () => {
    people = await startRunningPeople({ environment: secrets });
    asked = await startProtectedDriver(people, secrets);
  });
  afterAll(async () => {
    await asked.close();
    await people.close();
  });

  test.each(scenarios)('%s', async (scenario) => {
    const isExtension = extensions.includes(scenario);
    const parameters = ['--command', `${process.execPath} ${driver}`, '--scenario', scenario];
    const version = isExtension ? [] : ['--spec-version', revision];
    const checks = (await runScenarios('client', [...parameters, ...version], { CONFORMANCE_DRIVER: asked.url })).get(scenario);
    const failures = failuresIn(checks);
    const known = baseline.find((entry) => entry.cell === `signs in at ${revision}` && entry.scenario === scenario);
    if (known) expect(failures, `passes; take it out of the baseline (${known.reason})`).not.toEqual([]);
    else expect(failures, asked.seen.slice(-8).join('\n')).toEqual([]);
  });
});

test('every scenario of the program about signing in at servers is run, and none is known to fail', () => {
  const ran = new Set(revisions.flatMap(({ scenarios }) => scenarios));
  expect(allScenarios('client').filter((name) => name.startsWith('auth/') && !ran.has(name))).toEqual([]);
  expect(baseline.filter(({ cell }) => cell.startsWith('signs in at'))).toEqual([]);
});
