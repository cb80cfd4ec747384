import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { meetsWanted, namesAtCompany, wantedAcrValues } from '../../control/issuer/wanted-login.ts';
import { createBrowser } from '../support/browser.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
beforeAll(async () => {
  people = await startRunningPeople();
});
afterAll(() => people.close());

/** What a client of any kind asks for that was challenged: RFC 9470 §4, with the scope that the challenge names. */
const steppedUp = (acr_values: string, more: Record<string, string> = {}) =>
  people.request(people.apiResource, { scope: 'openid api', acr_values, ...more });

const logIn = async (begun: ReturnType<RunningPeople['request']>, browser: ReturnType<typeof createBrowser>, employee = 'ada') => {
  const answer = await people.authorize(begun, employee, browser);
  if (answer.get('error')) return { error: answer.get('error'), why: answer.get('error_description') };
  const { body } = await people.redeem(begun, answer);
  return decodeJwt(body.access_token);
};

test('a weaker login is not enough for a request that asks for a stronger one: the person logs in again, and the token says how', async () => {
  const browser = createBrowser();
  // an issuer that is not asked how well does not say it
  expect(await logIn(people.request(people.apiResource), browser)).not.toHaveProperty('acr');
  const asked = people.company.authorizations.length;
  expect(await logIn(steppedUp('2'), browser, 'ada&key=yes')).toMatchObject({ acr: 'phr' });
  expect(people.company.authorizations.length).toBe(asked + 1);
  expect(people.company.authorizations.at(-1)?.get('max_age')).toBe('0');
});

test('a login that is strong enough is not asked for again, under whichever of its names', async () => {
  const browser = createBrowser();
  await logIn(steppedUp('phr'), browser, 'ada&key=yes');
  const asked = people.company.authorizations.length;
  expect(await logIn(steppedUp('2 urn:other'), browser)).toMatchObject({ acr: 'phr' });
  expect(people.company.authorizations.length).toBe(asked);
});

test('the client is told when the company did not reach what was asked for, and the weaker login is not taken for it', async () => {
  const browser = createBrowser();
  const failed = { error: 'unmet_authentication_requirements', why: expect.stringContaining('urn:company:password') };
  expect(await logIn(steppedUp('2'), browser)).toEqual(failed);
  expect(await logIn(steppedUp('urn:company:badge'), browser, 'ada&key=yes')).toMatchObject({ error: failed.error });
  expect(people.logLines.join()).toContain('login-too-weak');
});

test('levels are met by at least as much, names that only the company knows by themselves alone', () => {
  expect(wantedAcrValues(undefined)).toEqual([]);
  expect(meetsWanted([], undefined)).toBe(true);
  expect(meetsWanted(['2'], '3')).toBe(true);
  expect(meetsWanted(['2'], undefined)).toBe(false);
  expect(meetsWanted(['urn:badge'], 'phr')).toBe(false);
  expect(meetsWanted(['urn:badge', '1'], 'urn:password')).toBe(true);
  expect(namesAtCompany(['1'], undefined)).toEqual([]);
  expect(namesAtCompany(['2'], ['phrh', 'urn:password'])).toEqual(['phrh']);
  expect(namesAtCompany(['2'], undefined)).toEqual(expect.arrayContaining(['2', 'phr', 'https://refeds.org/profile/mfa']));
  expect(namesAtCompany(['urn:badge'], ['phr'])).toEqual(['urn:badge']);
});
