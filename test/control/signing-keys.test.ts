import { decodeProtectedHeader, importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rotateSigningKeys } from '../../control/issuer/rotate-signing-keys.ts';
import { denySigningKey, listSigningKeys, rotateSigningKey } from '../../store/signing-keys.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningPeople, sealingKey, startRunningPeople } from '../support/running-people.ts';
import { useTestDatabase } from '../support/store-database.ts';

const logger = createLogger({ name: 'test' });
const kidOf = (token: string): string | undefined => decodeProtectedHeader(token).kid;

describe('keys of several issuers on one database', () => {
  const { database } = useTestDatabase();
  const start = () => rotateSigningKeys({ database: database(), sealingKey, logger, pollMs: 50 });

  test('are the same, made once, and sealed where they are kept', async () => {
    const issuers = await Promise.all(Array.from({ length: 6 }, start));
    const kids = issuers.map(({ current }) => current().map(({ kid }) => kid));
    expect(new Set(kids.map((each) => each.join())).size).toBe(1);
    expect(kids[0]).toHaveLength(2);
    const rows = await listSigningKeys(database());
    expect(rows.map(({ state }) => state)).toEqual(['signing', 'next']);
    for (const key of issuers[0]?.current() ?? [])
      for (const { sealed } of rows) expect(sealed?.includes(Buffer.from(String(key.d)))).toBe(false);
    await expect(
      rotateSigningKeys({ database: database(), sealingKey: Buffer.alloc(32, 1).toString('base64'), logger }),
    ).rejects.toMatchObject({ code: 'secret_unavailable' });

    await Promise.all(issuers.map(({ close }) => close()));
  });

  test('of many who rotate at the same moment one does, and the key after it is made once', async () => {
    // read by everybody long ago
    await database().$client.query(`update signing_keys set made_at = made_at - interval '1 day'`);
    const rotateAtOnce = () => Promise.all(Array.from({ length: 6 }, () => rotateSigningKey(database())));
    for (let round = 0; round < 25; round += 1) {
      expect((await rotateAtOnce()).filter((each) => each !== undefined)).toHaveLength(1);
      await database().$client.query(`update signing_keys set signs_from = now() + interval '30 days' where number = 2`);
    }
    const rotated = await rotateAtOnce();
    expect(rotated.filter((each) => each !== undefined)).toHaveLength(1);
    const issuers = await Promise.all(Array.from({ length: 6 }, start));
    expect((await listSigningKeys(database())).map(({ state }) => state)).toEqual(['retired', 'signing', 'next']);
    for (const { current } of issuers) expect(current()[0]?.kid).toBe(rotated.find((each) => each !== undefined)?.kid);
    await Promise.all(issuers.map(({ close }) => close()));
  });

  test('a key that nobody may have read yet does not sign before they have', async () => {
    const asked = await rotateSigningKey(database());
    expect(asked?.signsFrom.getTime()).toBeGreaterThan(Date.now() + 90_000);
    expect((await listSigningKeys(database())).map(({ state }) => state)).toEqual(['retired', 'signing', 'next']);
  });

  test('the private half of a key is gone once nothing that it signed is good; a denied one is never offered again', async () => {
    await database().$client.query(`update signing_keys set signs_from = now() - interval '1 hour' where number = 2`);
    const issuer = await start();
    const [first, second] = await listSigningKeys(database());
    expect({ first: first?.state, second: second?.state }).toEqual({ first: 'ended', second: 'signing' });
    expect(first?.sealed).toBeNull();
    expect(issuer.current().map(({ kid }) => kid)).not.toContain(first?.kid);
    await denySigningKey(database(), second?.kid ?? '');
    await expect.poll(() => issuer.current().map(({ kid }) => kid)).not.toContain(second?.kid);
    await expect.poll(() => issuer.current()).toHaveLength(2);
    await issuer.close();
  });
});

describe('while calls run', () => {
  let people: RunningPeople;
  let server: Awaited<ReturnType<typeof startCountingServer>>;
  let toolsetUrl: string;

  beforeAll(async () => {
    server = await startCountingServer();
    people = await startRunningPeople({ rotatesKeys: true });
    await people.gateway.apply(
      { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
      { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
      { kind: 'AccessBinding', metadata: { name: 'engineers' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['counting'] } },
    );
    await people.gateway.ready('counting');
    toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
  });
  afterAll(async () => {
    await people.close();
    await server.close();
  });

  const signing = (): JWK => people.rotatingKeys?.current()[0] ?? {};
  const callWith = async (token: string): Promise<number> => (await people.call('/mcp/counting', token)).status;
  const refreshed = async (refresh: string) => {
    const { status, body } = await people.token({ grant_type: 'refresh_token', refresh_token: refresh, client_id: 'quarterdeck-cli' });
    expect(status).toBe(200);
    return body as { access_token: string; refresh_token: string };
  };
  const changeApi = async (path: string, token: string) => {
    const response = await fetch(`${people.apiUrl}/api/v1alpha1${path}`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return { status: response.status, body: (await response.json()) as any };
  };

  test('the key rotates and no call fails; the old one verifies for its window, and then is refused', { timeout: 60_000 }, async () => {
    const old = signing();
    const admin = (await people.logIn('ada', people.apiResource)).access_token;
    let first = await people.logIn('ada', toolsetUrl);
    expect(kidOf(first.access_token)).toBe(old.kid);
    const oldToken = first.access_token;
    // what the next key needs to sign at once: that everybody has read it
    await people.database.$client.query(`update signing_keys set made_at = made_at - interval '1 day'`);

    const statuses: number[] = [];
    const kids: (string | undefined)[] = [];
    let isOver = false;
    const load = async (): Promise<void> => {
      let mine = await people.logIn('ada', toolsetUrl);
      while (!isOver) {
        mine = await refreshed(mine.refresh_token).then((next) => ({ ...mine, ...next }));
        kids.push(kidOf(mine.access_token));
        statuses.push(await callWith(mine.access_token), await callWith(oldToken));
      }
    };
    const running = Promise.all([load(), load(), load()]);
    await pollUntil(() => (statuses.length > 20 ? true : undefined), 'calls before');
    const rotated = await changeApi('/signing-keys/rotate', admin);
    expect(rotated.status).toBe(200);
    await pollUntil(
      () => (kids.filter((kid) => kid === rotated.body.kid).length > 20 ? true : undefined),
      'calls with the new key',
      20_000,
    );
    isOver = true;
    await running;
    expect(rotated.body.kid).not.toBe(old.kid);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(new Set(kids)).toEqual(new Set([old.kid, rotated.body.kid]));

    // somebody has the old key and signs on: nothing but the end of its window stops them
    first = await refreshed(first.refresh_token).then((next) => ({ ...first, ...next }));
    const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const claims = claimsOf(first.access_token);
    const forge = async (jti: string, header: object = {}, of = claims) =>
      new SignJWT({ ...of, jti })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: String(old.kid), ...header })
        .sign(await importJWK(old, 'ES256'));
    const ofApi = claimsOf(admin);
    const askApi = async (token: string): Promise<number> => (await people.askApi('/whoami', token)).status;
    expect(await callWith(await forge('within'))).toBe(200);
    expect(await askApi(await forge('within', {}, ofApi))).toBe(200);
    const { d: _private, ...ownKey } = old;
    // without its name, under the name of the next one, and with the key in the token itself
    const disguises = [{ kid: undefined }, { kid: rotated.body.kid }, { jwk: ownKey }, { jku: people.jwksUri, x5u: people.jwksUri }];
    const known = await forge('known');
    expect(await callWith(known)).toBe(200);
    await people.database.$client.query(`update signing_keys set signs_from = now() - interval '661 seconds' where kid = $1`, [
      rotated.body.kid,
    ]);
    await expect.poll(async () => callWith(await forge(`after-${Math.random()}`)), { timeout: 5000 }).toBe(401);
    await expect.poll(async () => askApi(await forge(`after-${Math.random()}`, {}, ofApi)), { timeout: 5000 }).toBe(401);
    // one that was let in before, and others of it
    expect(await callWith(known)).toBe(401);
    for (const header of disguises) {
      expect([header, await callWith(await forge('disguised', header))]).toEqual([header, 401]);
      expect([header, await askApi(await forge('disguised', header, ofApi))]).toEqual([header, 401]);
    }
    expect(await callWith(first.access_token)).toBe(200);
    const published = (await (await fetch(people.jwksUri)).json()) as { keys: JWK[] };
    await expect
      .poll(async () => ((await (await fetch(people.jwksUri)).json()) as typeof published).keys.map(({ kid }) => kid))
      .not.toContain(old.kid);
    for (const key of published.keys) expect(key).not.toHaveProperty('d');
  });

  test('a key that is denied is refused within five seconds by gateway and api, tokens that they know too; the next one signs', async () => {
    const stolen = signing();
    const begun = people.request([people.apiResource, toolsetUrl], { scope: 'api mcp' });
    const login = (await people.redeem(begun, await people.authorize(begun, 'ada'), { resource: people.apiResource })).body;
    const mcp = await people.logIn('ada', toolsetUrl);
    expect(kidOf(mcp.access_token)).toBe(stolen.kid);
    expect(await callWith(mcp.access_token)).toBe(200);
    const began = Date.now();
    expect(await changeApi(`/signing-keys/${stolen.kid}/deny`, login.access_token)).toMatchObject({ status: 200 });
    await expect.poll(() => callWith(mcp.access_token), { timeout: 5000 }).toBe(401);
    await expect.poll(async () => (await people.askApi('/whoami', login.access_token)).status, { timeout: 5000 }).toBe(401);
    expect(Date.now() - began).toBeLessThan(5000);
    const next = await pollUntil(async () => {
      const { access_token: token } = await people.logIn('ada', toolsetUrl);
      return kidOf(token) === stolen.kid ? undefined : token;
    }, 'a token of the next key');
    await expect.poll(() => callWith(next), { timeout: 8000 }).toBe(200);
    const row = await people.gateway.auditRow(
      ({ resource, facts }) => resource === `SigningKey/${stolen.kid}` && facts.change === 'denied',
    );
    expect(row).toMatchObject({ action: 'applyResource', decision: 'allow' });
    const again = (await people.logIn('ada', people.apiResource)).access_token;
    const listed = await pollUntil(async () => {
      const answer = await people.askApi('/signing-keys', again);
      return answer.status === 200 ? answer : undefined;
    }, 'the api to read the next key');
    expect(listed.body.keys.find(({ kid }: JWK) => kid === stolen.kid)).toMatchObject({ state: 'denied' });
    expect(JSON.stringify(listed.body)).not.toMatch(/"d"|sealed/);
  });
});
