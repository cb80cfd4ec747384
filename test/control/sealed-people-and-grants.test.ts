import { afterAll, beforeAll, expect, test } from 'vitest';
import { originalKey, type SealedName } from '../../schema/seal-key.ts';
import { askForSealKey, listSealKeys, retireSealKey } from '../../store/seal-keys.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../support/backend-issuer.ts';
import { createBrowser } from '../support/browser.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../support/protected-server.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const sealing = { pollMs: 50, sealsAfterMs: 400, everyMs: 50 };
const names = ['people', 'grants'] as const satisfies readonly SealedName[];
let people: RunningPeople;
let issuer: BackendIssuer;
let server: ProtectedServer;

beforeAll(async () => {
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret }, sealing });
  issuer = await startBackendIssuer({ redirectUris: [`${people.issuerUrl}/connect/callback`] });
  server = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri, needs: { act: 'tools.write' } });
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'tracker' }, spec: { url: server.url, auth: { kind: 'userGrant' }, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'tracker' }, spec: { servers: [{ name: 'tracker' }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'tracker' },
      spec: { subjects: [{ group: 'engineering' }, { group: 'sales' }], toolsets: ['tracker'] },
    },
  );
});
afterAll(async () => {
  await people.close();
  await server.close();
  issuer.close();
});

/** A person agrees on our page and at the server's issuer, and comes back. */
const connect = async (employee: string): Promise<void> => {
  const browser = createBrowser();
  const page = await people.passLogin(browser, `${people.issuerUrl}/connect/default/default/tracker?scope=tools.read`, employee);
  const { html } = await browser.submit(page, { answer: 'allow' });
  const there = (/class="button" href="([^"]+)"/.exec(html)?.[1] ?? '').replaceAll('&amp;', '&');
  const login = await browser.open(there, (each) => each.includes('/interaction/'));
  await browser.open(`${login.url}?user=${employee}`);
};
const tokenFor = async (employee: string): Promise<string> =>
  (await people.logIn(employee, `${people.gateway.publicUrl}/mcp/tracker`)).access_token;
const look = async (token: string): Promise<string> =>
  (await people.call('/mcp/tracker', token, 'tools/call', { name: 'look', arguments: {} })).text;
const looks = (token: string) => pollUntil(async () => ((await look(token)).includes('of look') ? true : undefined), 'a call goes through');
const refreshes = (): number => issuer.seen.filter(({ form }) => form.get('grant_type') === 'refresh_token').length;
/** Who is named in the audit by the api, which opens what stands behind pseudonyms. */
const peopleOnRecord = async (apiToken: string): Promise<string[]> => {
  const { body } = await people.askApi('/default/default/audit?action=callTool&limit=500', apiToken);
  return body.events.map(({ person }: { person: string }) => person);
};
const idOf = async (apiToken: string): Promise<string> => (await people.askApi('/whoami', apiToken)).body.id;

test('keys of pseudonyms and grants rotate while people call: no call and no renewal fails, everybody keeps their name and what they granted', async () => {
  const token = await tokenFor('ada');
  const apiToken = (await people.logIn('ada', people.apiResource)).access_token;
  const ada = await idOf(apiToken);
  // tokens that end at once: each call makes the issuer open the grant, renew it and seal it again
  issuer.state.lifetimeSeconds = 1;
  await connect('ada');
  await looks(token);
  const renewedBefore = refreshes();

  let calls = 0;
  let isOver = false;
  const failures: string[] = [];
  const load = async (): Promise<void> => {
    while (!isOver) {
      const answer = await look(token);
      if (!answer.includes('of look')) failures.push(answer);
      const onRecord = await peopleOnRecord(apiToken);
      if (onRecord.some((person) => person.startsWith('psn_'))) failures.push('a pseudonym that nobody could name');
      calls += 1;
    }
  };
  const running = [load(), load(), load()];
  const made: Record<string, string> = {};
  for (let round = 0; round < 2; round += 1) {
    const seen = calls;
    await pollUntil(async () => calls > seen + 10 || undefined, 'calls between rotations');
    for (const name of names) made[name] = await askForSealKey(people.database, name);
    await pollUntil(async () => {
      const states = await Promise.all(names.map((name) => listSealKeys(people.database, name)));
      return states.flat().every(({ state }) => state !== 'asked' && state !== 'next') || undefined;
    }, 'the new keys seal');
    // somebody new, in the middle of it
    if (round === 0) await connect('bob');
  }
  for (const name of names)
    await pollUntil(async () => {
      const listed = await listSealKeys(people.database, name);
      const newest = listed.find(({ id }) => id === made[name]);
      return (newest?.rows ?? 0) > 0 && listed.every(({ id, rows }) => id === made[name] || rows === 0) ? true : undefined;
    }, `all of ${name} stands on the newest key`);
  const seen = calls;
  await pollUntil(async () => calls > seen + 10 || undefined, 'calls on the newest keys');
  isOver = true;
  await Promise.all(running);
  expect(failures).toEqual([]);
  expect(refreshes()).toBeGreaterThan(renewedBefore);

  // what went before is destroyed, and processes that start after that know the newest alone
  for (const name of names) {
    await retireSealKey(people.database, { name, id: originalKey }, new Date(Date.now() + 1000), 0);
    expect((await listSealKeys(people.database, name)).find(({ id }) => id === originalKey)?.state).toBe('retired');
  }
  await people.gateway.restart();
  await looks(token);
  await looks(await tokenFor('bob'));
  const onRecord = await peopleOnRecord(apiToken);
  expect(onRecord).toContain(ada);
  expect(onRecord.filter((person) => person.startsWith('psn_'))).toEqual([]);
}, 120_000);
