import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { createDevPeople } from '../../cli/processes/dev-people.ts';
import type { DevIdpConfig } from '../../control/dev-idp/dev-idp-config.ts';
import { startDevIdp } from '../../control/dev-idp/start-dev-idp.ts';
import { linkPeople } from '../../store/people.ts';
import { createBrowser } from '../support/browser.ts';
import { adminToken, guestToken } from '../support/running-gateway.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

const client = { id: 'quarterdeck', secret: 'a-secret-of-the-login-provider-0123456789' };
const logger = pino({ level: 'silent' });
let people: RunningPeople;
let devIdp: Awaited<ReturnType<typeof startDevIdp>>;
let config: DevIdpConfig;

beforeAll(async () => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  people = await startRunningPeople({
    people: { devProvider: { org: 'default', issuer, clientId: client.id, clientSecret: client.secret } },
  });
  await people.database.$client.query(`delete from resources where kind = 'IdentityProvider'`);
  await linkPeople(people.database, 'default', issuer, ['admin', 'guest']);
  config = {
    address: '127.0.0.1',
    port,
    issuerUrl: issuer,
    client: { ...client, redirectUri: `${people.issuerUrl}/login/callback` },
    cookieKey: 'a-key-for-cookies-of-at-least-32-characters',
  };
  devIdp = await startDevIdp(config, { people: createDevPeople(people.database, () => new Date()), logger });
});
afterAll(async () => {
  await devIdp.close();
  await people.close();
});

const logInHere = async (person: string, password: string) => {
  const browser = createBrowser();
  const begun = people.request(people.apiResource);
  const page = await browser.open(begun.url);
  expect(page.url.startsWith(config.issuerUrl)).toBe(true);
  return { begun, browser, page: await browser.submit(page, { person, password }) };
};

describe('the login provider of this machine', () => {
  test('knows the seeded people by their tokens; a login there is theirs, with the groups and roles they have', async () => {
    const { begun, browser, page } = await logInHere('admin', adminToken);
    expect(page.html).toContain('act for you?');
    const end = await browser.submit(page, { answer: 'allow' }, (url) => url.startsWith(begun.redirectUri));
    const { body } = await people.redeem(begun, new URL(end.url).searchParams);
    const who = await people.askApi('/whoami', body.access_token);
    expect(who.body).toMatchObject({ id: 'admin', roles: ['administrator'], stamp: 'login' });
  });

  test('knows nobody by a wrong password, or by that of somebody else', async () => {
    for (const [person, password] of [
      ['admin', 'qd_wrong'],
      ['admin', guestToken],
      ['nobody', adminToken],
    ] as const) {
      const { page } = await logInHere(person, password);
      expect(page).toMatchObject({ status: 401, html: expect.stringContaining('wrong password') });
    }
  });

  test('does not start where others can reach it', async () => {
    for (const changes of [
      { address: '0.0.0.0' },
      { address: '::' },
      { address: '192.168.1.7' },
      { issuerUrl: 'http://login.example.test:7427' },
      { issuerUrl: 'https://login.example.test' },
    ])
      await expect(
        startDevIdp({ ...config, ...changes }, { people: createDevPeople(people.database, () => new Date()), logger }),
      ).rejects.toMatchObject({ code: 'input_invalid', detail: expect.stringContaining('declare an IdentityProvider') });
  });

  test('answers under no other host name', async () => {
    const answer = await new Promise<number>((resolve, reject) => {
      import('node:http').then(({ get }) =>
        get(`${config.issuerUrl}/.well-known/openid-configuration`, { headers: { host: 'evil.example.test' } }, ({ statusCode }) =>
          resolve(statusCode ?? 0),
        ).on('error', reject),
      );
    });
    expect(answer).toBe(403);
  });
});
