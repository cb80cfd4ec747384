import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../../bench/gateway/free-port.ts';
import { createBrowser } from '../../support/browser.ts';
import { type Check, runScenarios } from '../../support/conformance/run-scenarios.ts';
import { type RunningPeople, startRunningPeople } from '../../support/running-people.ts';

// with a secret the program shows none where an issuer knows public clients too, as this one does
describe('conformance: the issuer as an authorization server', () => {
  let people: RunningPeople;
  let found: Map<string, Check[]>;

  beforeAll(async () => {
    people = await startRunningPeople({ rotatesKeys: true });
    await people.gateway.apply({
      kind: 'OAuthClient',
      metadata: { name: 'program' },
      spec: { redirectUris: ['http://127.0.0.1/callback'] },
    });
    const given = ['--url', people.issuerUrl, '--client-id', 'default/default/program', '--port', String(await freePort())];
    let isOpened = false;
    const playPerson = async (text: string): Promise<void> => {
      const address = /^(http:\S+\/auth\?\S+)$/m.exec(text)?.[1];
      if (address === undefined || isOpened) return;
      isOpened = true;
      const browser = createBrowser();
      await browser.submit(await people.passLogin(browser, address, 'ada'), { answer: 'allow' });
    };
    const resource = ['--resource', `${people.gateway.publicUrl}/mcp`];
    found = await runScenarios('authorization', [...given, ...resource], {}, (text) => void playPerson(text));
  });
  afterAll(() => people.close());

  test.each(['authorization-server-metadata-endpoint', 'authorization-code-grant'])('%s', (scenario) => {
    const checks = [...found].find(([ran]) => ran.includes(scenario))?.[1] ?? [];
    expect(checks.length).toBeGreaterThan(0);
    expect(checks.filter(({ status }) => status !== 'SUCCESS')).toEqual([]);
  });

  test('there is no other scenario for authorization servers that would not be run', () => {
    expect(found.size).toBe(2);
  });
});
