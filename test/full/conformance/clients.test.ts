import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startDriver } from '../../support/conformance/drive-gateway.ts';
import { failuresIn } from '../../support/conformance/fixture-front.ts';
import { runScenarios, scenariosOf } from '../../support/conformance/run-scenarios.ts';
import { type RunningGateway, startRunningGateway } from '../../support/running-gateway.ts';
import { baseline } from './baseline.ts';

const driver = join(import.meta.dirname, '../../support/conformance/ask-driver.mjs');
/** Those about signing in at a server come with credentials for servers; the others are about what the gateway sends upstream. */
const revisions = (['2025-11-25', '2026-07-28'] as const).map((revision) => ({
  revision,
  scenarios: scenariosOf(revision, 'client').filter((name) => !name.startsWith('auth/')),
}));

describe.each(revisions)('conformance: the gateway as a client of a server of $revision', ({ revision, scenarios }) => {
  let gateway: RunningGateway;
  let asked: { url: string; close(): Promise<void> };
  beforeAll(async () => {
    gateway = await startRunningGateway();
    asked = await startDriver(gateway);
  });
  afterAll(async () => {
    await asked.close();
    await gateway.close();
  });

  test.each(scenarios)('%s', async (scenario) => {
    const parameters = ['--command', `${process.execPath} ${driver}`, '--scenario', scenario, '--spec-version', revision];
    const checks = (await runScenarios('client', parameters, { CONFORMANCE_DRIVER: asked.url })).get(scenario);
    const failures = failuresIn(checks);
    const known = baseline.find((entry) => entry.cell === `client of ${revision}` && entry.scenario === scenario);
    if (known) expect(failures, `passes; take it out of the baseline (${known.reason})`).not.toEqual([]);
    else expect(failures).toEqual([]);
  });
});
