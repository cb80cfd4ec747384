import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { codeGuesses } from '../../control/issuer/limit-code-guesses.ts';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { startIssuer } from '../../control/issuer/start-issuer.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { createWorkerKeys } from '../../store/worker-keys.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { createBrowser } from '../support/browser.ts';
import { joinKey } from '../support/running-issuer.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
/** Another replica of the issuer, on the same database. */
let replica: Awaited<ReturnType<typeof startIssuer>>;
/** A third one, which trusts the proxies at 127.0.0.1 and in 10.0.0.0/8. */
let proxied: Awaited<ReturnType<typeof startIssuer>>;
let proxiedUrl: string;
let unknownCallers: ReturnType<typeof createRefusalCounter>;
let urls: string[];

beforeAll(async () => {
  people = await startRunningPeople();
  const { database } = people;
  const audit = openAuditLog(database);
  unknownCallers = createRefusalCounter({ write: (events) => audit.append(database, events), newDecisionId: () => 'dec_unknown' });
  const startReplica = async (trustedProxies: string[]) => {
    const port = await freePort();
    const issuerUrl = `http://127.0.0.1:${port}`;
    const started = await startIssuer(
      {
        ...{ port, issuerUrl, resourceBase: people.gateway.publicUrl, signingKeys: [await makeSigningKey()], workers: { joinKey } },
        trustedProxies,
        people: {
          apiResource: people.apiResource,
          cookieKey: 'a-key-for-cookies-of-at-least-32-characters',
          deviceCodeKey: Buffer.alloc(32, 5).toString('base64'),
          allowsRegistration: false,
          allowsLoopbackClients: false,
          secrets: { environment: {} },
        },
      },
      {
        ...{ audit, database, unknownCallers, logger: pino({ level: 'silent' }), workerKeys: createWorkerKeys(database) },
        agents: { findForToken: async () => undefined },
      },
    );
    return { started, issuerUrl };
  };
  const second = await startReplica([]);
  replica = second.started;
  const third = await startReplica(['127.0.0.1', '10.0.0.0/8']);
  [proxied, proxiedUrl] = [third.started, third.issuerUrl];
  urls = [people.issuerUrl, second.issuerUrl];
});
afterAll(async () => {
  await Promise.all([replica.close(), proxied.close()]);
  await people.close();
});

/** Enters a code at the page of devices. */
const enter = async (code: string, at = people.issuerUrl, browser = createBrowser()) =>
  browser.submit(await browser.open(`${at}/device`), { user_code: code });
const refusals = async () =>
  (
    await people.database.$client.query(
      `select action, person, facts from audit_events where kind = 'refusal' and error_code = 'rate_exhausted' order by action`,
    )
  ).rows;
const askDeviceCode = async (): Promise<string> => {
  const body = new URLSearchParams({ client_id: 'quarterdeck-cli', resource: `${people.gateway.publicUrl}/mcp` });
  const response = await fetch(`${people.issuerUrl}/device/auth`, { method: 'POST', body });
  return ((await response.json()) as { user_code: string }).user_code;
};

test('what is no wrong code is not counted: right ones, none at all, and one that is turned down', async () => {
  for (let times = 0; times < codeGuesses.perSource + 2; times += 1) expect((await enter('')).status).toBe(200);
  const userCode = await askDeviceCode();
  for (let times = 0; times < 3; times += 1) expect((await enter(userCode)).html).toContain(userCode);
  const { rows } = await people.database.$client.query(`select taken from rate_windows where key like 'code-guess %'`);
  expect(rows).toEqual([{ taken: 0 }]);
});

test('a person who is logged in has their own limit, in every browser of theirs; others are let be', async () => {
  const resource = `${people.gateway.publicUrl}/mcp`;
  const browser = createBrowser();
  await people.logIn('ada', resource, browser);
  for (let times = 0; times < codeGuesses.perPerson; times += 1)
    expect((await enter('BBBB-BBBB', people.issuerUrl, browser)).html).toContain('There is no such code');
  const again = createBrowser();
  await people.logIn('ada', resource, again);
  for (const each of [browser, again]) {
    const refused = await enter('BBBB-BBBB', people.issuerUrl, each);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(codeGuesses.windowSeconds);
    expect(refused.html).toContain('Too many codes were wrong');
  }
  expect((await enter(await askDeviceCode())).status).toBe(200);
  expect(await refusals()).toMatchObject([
    { action: 'logIn', person: expect.stringMatching(/^psn_/), facts: { by: 'device' } },
    { action: 'logIn', person: expect.stringMatching(/^psn_/) },
  ]);
});

const guess = async (at: string, forwardedFor: string) => {
  const { status } = await enter('DDDD-DDDD', at, createBrowser({ 'x-forwarded-for': forwardedFor }));
  return status;
};

test('behind a trusted proxy each source has its own limit, and what it writes of itself into the header moves it nowhere', async () => {
  await people.database.$client.query(`delete from rate_windows`);
  for (let times = 0; times < codeGuesses.perSource; times += 1)
    expect(await guess(proxiedUrl, `198.51.100.${times}, 203.0.113.7, 10.1.2.3`)).toBe(200);
  expect(await guess(proxiedUrl, '192.0.2.1, 203.0.113.7, 10.1.2.3')).toBe(429);
  expect(await guess(proxiedUrl, '203.0.113.8')).toBe(200);
  const { rows } = await people.database.$client.query(`select key, taken from rate_windows where key like 'code-guess %' order by key`);
  expect(rows).toEqual([
    { key: 'code-guess source 203.0.113.7', taken: codeGuesses.perSource },
    { key: 'code-guess source 203.0.113.8', taken: 1 },
  ]);
});

test('where no proxy is trusted the header of a caller is ignored', async () => {
  await people.database.$client.query(`delete from rate_windows`);
  for (let times = 0; times < codeGuesses.perSource; times += 1) expect(await guess(people.issuerUrl, `198.51.100.${times}`)).toBe(200);
  expect(await guess(people.issuerUrl, '203.0.113.9')).toBe(429);
  await people.database.$client.query(`delete from rate_windows`);
});

test('many guesses at once at several replicas get no more answers than the limit, and then a right code is refused too', async () => {
  await people.database.$client.query(`delete from rate_windows`);
  const tries = codeGuesses.perSource + 10;
  const pages = await Promise.all(Array.from({ length: tries }, (_, index) => enter('CCCC-CCCC', urls[index % 2])));
  const answered = pages.filter(({ html }) => html.includes('There is no such code'));
  expect(answered).toHaveLength(codeGuesses.perSource);
  expect(pages.filter(({ status }) => status === 429)).toHaveLength(10);
  const userCode = await askDeviceCode();
  for (const url of urls) expect(await enter(userCode, url)).toMatchObject({ status: 429, html: expect.not.stringContaining(userCode) });
  await unknownCallers.close();
  expect(await refusals()).toContainEqual({
    action: 'authenticate',
    person: null,
    facts: expect.objectContaining({ door: 'issuer', source: '127.0.0.1', count: expect.any(Number) }),
  });
});
