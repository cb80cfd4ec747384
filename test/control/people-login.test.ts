import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { liftHalt, putHalt } from '../../store/halts.ts';
import { createBrowser } from '../support/browser.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let toolsetUrl: string;

beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'narrow' }, spec: { servers: [{ name: 'counting', tools: ['look'] }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'engineers' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['counting'] } },
    { kind: 'AccessBinding', metadata: { name: 'sellers' }, spec: { subjects: [{ group: 'sales' }], toolsets: ['narrow'] } },
  );
  await people.gateway.ready('counting');
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
});
afterAll(async () => {
  await people.close();
  await server.close();
});

const rowOf = async (subject: string) =>
  (await people.database.$client.query('select * from people where subject = $1', [subject])).rows[0];

describe('a person', () => {
  test('logs in at the company, gets the tools of their groups, and calls one', async () => {
    const { access_token: token, expires_in, scope } = await people.logIn('ada', toolsetUrl);
    expect({ expires_in, scope }).toEqual({ expires_in: 600, scope: 'mcp' });
    const list = await people.call('/mcp/counting', token);
    expect(list.text).toContain('"look"');
    expect(list.text).toContain('"act"');
    const called = await people.call('/mcp/counting', token, 'tools/call', { name: 'look', arguments: { path: '/ok/a' } });
    expect(called.status).toBe(200);
    expect(called.text).toContain('result');
    const row = await people.gateway.auditRow(({ action, tool }) => action === 'callTool' && tool === 'look');
    expect(row).toMatchObject({ person: (await rowOf('u-0001')).id, stamp: 'login' });
  });

  test('gets an access token of RFC 9068 for exactly one virtual server', async () => {
    const { access_token: token } = await people.logIn('ada', toolsetUrl);
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: people.signingKeys[0]?.kid });
    const { id } = await rowOf('u-0001');
    expect(decodeJwt(token)).toEqual({
      iss: people.issuerUrl,
      aud: `${people.gateway.publicUrl}/mcp/default/default/counting`,
      sub: `default/${id}`,
      org: 'default',
      sid: expect.any(String),
      client_id: 'quarterdeck-cli',
      scope: 'mcp',
      auth_time: expect.any(Number),
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: expect.any(Number),
    });
  });

  test('comes into being at the first login, under an id nobody can choose; groups are those of the newest one', async () => {
    await people.logIn('bob', toolsetUrl);
    const first = await rowOf('u-0002');
    expect(first).toMatchObject({ org: 'default', issuer: people.company.issuer, groups: ['sales'], roles: [], email: 'bob@example.test' });
    expect(first.id).toMatch(/^bob-[0-9a-f]{16}$/);
    const bob = people.company.people.bob;
    if (bob) bob.teams = ['sales', 'engineering'];
    await people.logIn('bob', toolsetUrl);
    expect(await rowOf('u-0002')).toMatchObject({ id: first.id, groups: ['engineering', 'sales'] });
    if (bob) bob.teams = ['sales'];
    await people.logIn('bob', toolsetUrl);
    // a group that is no name a binding could mention is left out, not bent into one
    await people.logIn('ada', toolsetUrl);
    expect((await rowOf('u-0001')).groups).toEqual(['engineering']);
  });

  test('of another group sees nothing of that toolset, and what is theirs elsewhere', async () => {
    const { access_token: token } = await people.logIn('bob', toolsetUrl);
    expect((await people.call('/mcp/counting', token)).text).not.toContain('"look"');
    const narrow = await people.logIn('bob', `${people.gateway.publicUrl}/mcp/narrow`);
    const list = await people.call('/mcp/narrow', narrow.access_token);
    expect(list.text).toContain('"look"');
    expect(list.text).not.toContain('"act"');
  });

  test('is asked once whether a client may act for them, and is told its name, what for, and where the answer goes', async () => {
    const browser = createBrowser();
    const page = await people.passLogin(browser, people.request(toolsetUrl).url, 'ada');
    expect(page.html).toContain('Quarterdeck on the command line');
    expect(page.html).toContain(toolsetUrl);
    expect(page.html).toContain('http://127.0.0.1:5/callback');
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    const end = await browser.submit(page, { answer: 'deny' }, (url) => url.startsWith('http://127.0.0.1:5/'));
    expect(new URL(end.url).searchParams.get('error')).toBe('access_denied');
  });

  test('uses the api with a token for it', async () => {
    const { access_token: token } = await people.logIn('ada', people.apiResource);
    const { status, body } = await people.askApi('/whoami', token);
    expect({ status, body }).toMatchObject({ status: 200, body: { org: 'default', groups: ['engineering'], stamp: 'login' } });
    const throughGateway = await fetch(`${people.gateway.publicUrl}/api/v1alpha1/whoami`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(throughGateway.status).toBe(200);
  });

  test('one login has tokens for several resources, one at a time', async () => {
    const modelsUrl = `${people.gateway.publicUrl}/v1`;
    const begun = people.request([people.apiResource, modelsUrl], { scope: 'api models' });
    const { body } = await people.redeem(begun, await people.authorize(begun, 'ada'), { resource: people.apiResource });
    expect(decodeJwt(body.access_token)).toMatchObject({ aud: people.apiResource, scope: 'api' });
    const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: 'quarterdeck-cli' };
    const models = await people.token({ ...refresh, resource: modelsUrl });
    expect(decodeJwt(models.body.access_token)).toMatchObject({ aud: modelsUrl, scope: 'models' });
    const answer = await fetch(`${people.gateway.publicUrl}/v1/models`, {
      headers: { authorization: `Bearer ${models.body.access_token}` },
    });
    expect(answer.status).toBe(200);
    const foreign = await people.token({ ...refresh, refresh_token: models.body.refresh_token, resource: toolsetUrl });
    expect(foreign).toMatchObject({ status: 400, body: { error: 'invalid_target' } });
  });
});

describe('when a person has last shown who they are', () => {
  const nowSeconds = () => Math.floor(Date.now() / 1000);
  const timeIn = (token: string) => Number(decodeJwt(token).auth_time);
  /** The company is where the person stays logged in, so the same browser is let through there. */
  const moveBack = (seconds: number) =>
    people.database.$client.query(
      `update issuer_records set payload = jsonb_set(payload, '{loginTs}', to_jsonb((payload->>'loginTs')::int - $1::int)) where model = 'Session'`,
      [seconds],
    );

  test('stands in their tokens, renewed ones too, and goes on being that time', async () => {
    const browser = createBrowser();
    const first = await people.logIn('ada', toolsetUrl, browser);
    expect(timeIn(first.access_token)).toBeGreaterThan(nowSeconds() - 60);
    await moveBack(3000);
    await people.database.$client.query(`delete from issuer_records where model = 'Grant'`);
    const later = await people.logIn('ada', toolsetUrl, browser);
    expect(timeIn(later.access_token)).toBeLessThan(nowSeconds() - 2900);
    // what the client was allowed late ends with the login all the same
    const { rows } = await people.database.$client.query(
      `select extract(epoch from expires_at - now()) as seconds from issuer_records where model = 'Grant' and id = $1`,
      [decodeJwt(later.access_token).sid],
    );
    expect(Number(rows[0].seconds)).toBeLessThanOrEqual(8 * 3600 - 2900);
    const form = { grant_type: 'refresh_token', refresh_token: later.refresh_token, client_id: 'quarterdeck-cli' };
    expect(timeIn((await people.token(form)).body.access_token)).toBe(timeIn(later.access_token));
  });

  test('is made anew when the client asks for it, by the company too', async () => {
    const browser = createBrowser();
    await people.logIn('ada', people.apiResource, browser);
    await moveBack(3000);
    const asked = people.company.authorizations.length;
    const begun = people.request(people.apiResource, { prompt: 'login' });
    const { body } = await people.redeem(begun, await people.authorize(begun, 'ada', browser));
    expect(timeIn(body.access_token)).toBeGreaterThan(nowSeconds() - 60);
    const upstream = people.company.authorizations.slice(asked);
    expect(upstream.map((parameters) => parameters.get('prompt'))).toContain('login');
    const who = await people.askApi('/whoami', body.access_token);
    expect(who.body.login).toEqual({ ageSeconds: expect.any(Number), level: 1 });
    expect(who.body.login.ageSeconds).toBeLessThan(60);
  });

  test('is what the company says: whoever was to log in anew and did not is not let in', async () => {
    const browser = createBrowser();
    const page = await people.passLogin(browser, people.request(toolsetUrl).url, 'ada');
    expect(page.html).toContain('act for you');
    people.company.answersOldLogins(true);
    const again = await people.passLogin(browser, people.request(toolsetUrl, { prompt: 'login' }).url, 'ada');
    expect(again).toMatchObject({ status: 400, html: expect.stringContaining('did not confirm who you are') });
    // without being asked to be fresh it is let in, with its true age
    const old = await people.logIn('ada', toolsetUrl);
    expect(timeIn(old.access_token)).toBeLessThan(nowSeconds() - 3000);
    people.company.answersOldLogins(false);
  });
});

describe('the end of a login', () => {
  test('comes half an hour after it was last used, and eight hours after it began, whatever renews it', async () => {
    const lives = async (model: string): Promise<number> => {
      const { rows } = await people.database.$client.query(
        `select extract(epoch from max(expires_at) - now()) as seconds from issuer_records where model = $1`,
        [model],
      );
      return Number(rows[0].seconds);
    };
    await people.database.$client.query('delete from issuer_records');
    const browser = createBrowser();
    const { refresh_token: refresh } = await people.logIn('ada', toolsetUrl, browser);
    for (const model of ['RefreshToken', 'Session']) {
      expect(await lives(model)).toBeGreaterThan(1700);
      expect(await lives(model)).toBeLessThanOrEqual(1800);
    }
    await people.database.$client.query(
      `update issuer_records set payload = jsonb_set(payload, '{authTime}', to_jsonb((payload->>'authTime')::int - 28000)) where model = 'RefreshToken'`,
    );
    const renewed = await people.token({ grant_type: 'refresh_token', refresh_token: refresh, client_id: 'quarterdeck-cli' });
    expect(renewed.status).toBe(200);
    await people.database.$client.query(`delete from issuer_records where model = 'RefreshToken' and consumed_at is not null`);
    expect(await lives('RefreshToken')).toBeLessThanOrEqual(800);
    await people.database.$client.query(`update issuer_records set expires_at = now() where model = 'RefreshToken'`);
    const late = { grant_type: 'refresh_token', refresh_token: renewed.body.refresh_token, client_id: 'quarterdeck-cli' };
    expect(await people.token(late)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });

  test('a refresh token is good once; its second use ends the whole login', async () => {
    const { access_token: token, refresh_token: refresh } = await people.logIn('ada', toolsetUrl);
    const ask = (value: string) => people.token({ grant_type: 'refresh_token', refresh_token: value, client_id: 'quarterdeck-cli' });
    const second = await ask(refresh);
    expect(second.status).toBe(200);
    expect((await people.call('/mcp/counting', second.body.access_token)).status).toBe(200);
    expect(await ask(refresh)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await ask(second.body.refresh_token)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    await expect.poll(async () => (await people.call('/mcp/counting', token)).status, { timeout: 5000 }).toBe(401);
  });

  test('of many uses of one refresh token at the same moment at most one gets tokens', async () => {
    const { refresh_token: refresh } = await people.logIn('ada', toolsetUrl);
    const form = { grant_type: 'refresh_token', refresh_token: refresh, client_id: 'quarterdeck-cli' };
    const answers = await Promise.all(Array.from({ length: 8 }, () => people.token(form)));
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
  });

  test('a login that is revoked is refused everywhere within five seconds', async () => {
    const begun = people.request([people.apiResource, toolsetUrl], { scope: 'api mcp' });
    const { body } = await people.redeem(begun, await people.authorize(begun, 'ada'), { resource: people.apiResource });
    const refresh = { grant_type: 'refresh_token', client_id: 'quarterdeck-cli' };
    const mcp = await people.token({ ...refresh, refresh_token: body.refresh_token, resource: toolsetUrl });
    expect((await people.call('/mcp/counting', mcp.body.access_token)).status).toBe(200);
    const revoked = await fetch(`${people.issuerUrl}/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ token: mcp.body.refresh_token, client_id: 'quarterdeck-cli' }),
    });
    expect(revoked.status).toBe(200);
    expect((await people.askApi('/whoami', body.access_token)).status).toBe(401);
    await expect.poll(async () => (await people.call('/mcp/counting', mcp.body.access_token)).status, { timeout: 5000 }).toBe(401);
    expect((await people.token({ ...refresh, refresh_token: mcp.body.refresh_token })).status).toBe(400);
  });

  test('a person who logs out in the browser is logged out everywhere, and is asked again', async () => {
    const browser = createBrowser();
    const { access_token: token } = await people.logIn('ada', toolsetUrl, browser);
    expect((await people.call('/mcp/counting', token)).status).toBe(200);
    const page = await browser.open(`${people.issuerUrl}/session/end`);
    expect(page.html).toContain('Log out');
    const end = await browser.submit(page, { logout: 'yes' });
    expect(end.html).toContain('You are logged out');
    await expect.poll(async () => (await people.call('/mcp/counting', token)).status, { timeout: 5000 }).toBe(401);
    const again = await browser.open(people.request(toolsetUrl).url, (url) => url.startsWith(people.company.issuer));
    expect(again.url.startsWith(people.company.issuer)).toBe(true);
  });

  test('a person who is disabled is refused everywhere within five seconds, and does not get in again', async () => {
    const { access_token: token, refresh_token } = await people.logIn('bob', `${people.gateway.publicUrl}/mcp/narrow`);
    expect((await people.call('/mcp/narrow', token)).status).toBe(200);
    await people.database.$client.query(`update people set disabled = true where subject = 'u-0002'`);
    await expect.poll(async () => (await people.call('/mcp/narrow', token)).status, { timeout: 5000 }).toBe(401);
    expect((await people.token({ grant_type: 'refresh_token', refresh_token, client_id: 'quarterdeck-cli' })).status).toBe(400);
    const page = await people.passLogin(createBrowser(), people.request(toolsetUrl).url, 'bob');
    expect(page).toMatchObject({ status: 403, html: expect.stringContaining('shut out') });
    await people.database.$client.query(`update people set disabled = false where subject = 'u-0002'`);
  });

  test('is on record, as its beginning is, and so is whoever was refused', async () => {
    const entry = (action: string, isIt: (facts: Record<string, unknown>) => boolean = () => true) =>
      people.gateway.auditRow((row) => row.action === action && isIt(row.facts));
    const { refresh_token: refresh } = await people.logIn('ada', toolsetUrl);
    expect(await entry('logIn')).toMatchObject({
      kind: 'change',
      decision: 'allow',
      stamp: 'login',
      facts: { provider: 'default/default/company' },
    });
    await fetch(`${people.issuerUrl}/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ token: refresh, client_id: 'quarterdeck-cli' }),
    });
    const out = await entry('logOut', ({ cause }) => cause === 'client');
    expect(out).toMatchObject({ person: (await rowOf('u-0001')).id, facts: { client: 'quarterdeck-cli' } });
    expect(await entry('logOut', ({ alert }) => alert === 'login-used-twice')).toBeDefined();
    expect(await entry('logOut', ({ cause }) => cause === 'browser')).toBeDefined();
    const refused = await people.gateway.auditRow((row) => row.action === 'logIn' && row.decision === 'deny');
    expect(refused).toMatchObject({ person: (await rowOf('u-0002')).id, kind: 'refusal', facts: { reason: 'disabled' } });
  });

  test('a person who is halted gets no new token until that is lifted, and keeps the login', async () => {
    const { access_token: token, refresh_token } = await people.logIn('ada', toolsetUrl);
    const id = JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString()).sub.split('/')[1];
    const key = { org: 'default', project: '', scope: 'person' as const, name: id };
    await putHalt(people.database, { ...key, reason: '', haltedBy: 'admin', decisionId: 'dec' });
    const renew = () => people.token({ grant_type: 'refresh_token', refresh_token, client_id: 'quarterdeck-cli' });
    const halted = await renew();
    expect(halted.status).toBe(400);
    expect(JSON.stringify(halted)).not.toContain('access_token');
    await liftHalt(people.database, key);
    expect((await renew()).status).toBe(200);
  });

  test('the table of the issuer holds no value that lets anybody in', async () => {
    const browser = createBrowser();
    const { refresh_token: refresh } = await people.logIn('ada', toolsetUrl, browser);
    const { rows } = await people.database.$client.query('select id, payload::text as payload from issuer_records');
    const dump = rows.map(({ id, payload }) => `${id} ${payload}`).join('\n');
    const session = browser.cookies().find(({ name }) => name === 'quarterdeck_session')?.value;
    expect(session).toBeDefined();
    for (const value of [refresh, session ?? '']) expect(dump).not.toContain(value);
  });
});
