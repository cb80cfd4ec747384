import { createHmac } from 'node:crypto';
import { base64url, decodeJwt, importJWK, type JWK, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createJoinedProofs } from '../../activities/worker-proof.ts';
import { agentRunTokenType, tokenExchangeGrant } from '../../control/issuer/exchange-run-token.ts';
import { makeJoinToken } from '../../control/issuer/join-token.ts';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { workerClientId } from '../../schema/worker-proof.ts';
import { putIssuerRecord } from '../../store/issuer-records.ts';
import { createBrowser } from '../support/browser.ts';
import { startCompanyIdp } from '../support/company-idp.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { agentId, joinKey } from '../support/running-issuer.ts';
import { companyProvider, type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let toolsetUrl: string;
let token: string;

beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'sibling' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineering' }], toolsets: ['counting', 'sibling'] },
    },
  );
  await people.gateway.ready('counting');
  await people.gateway.ready('sibling');
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
  ({ access_token: token } = await people.logIn('ada', toolsetUrl));
});
afterAll(async () => {
  await people.close();
  await server.close();
});

const atCallback = (url: string): boolean => url.startsWith(`${people.issuerUrl}/login/callback`);
const changed = (url: string, changes: Record<string, string | undefined>): string => {
  const next = new URL(url);
  for (const [name, value] of Object.entries(changes))
    value === undefined ? next.searchParams.delete(name) : next.searchParams.set(name, value);
  return next.href;
};
const failed = { status: 400, html: expect.stringMatching(/login (failed|is over)|Begin again/) };

describe('the way back from the company’s issuer', () => {
  test('an attacker’s code and state are good in no other browser: nobody is logged in as them', async () => {
    const attacker = createBrowser();
    const answer = await people.passLogin(attacker, people.request(toolsetUrl).url, 'bob', atCallback);
    const victim = createBrowser();
    await people.passLogin(victim, people.request(toolsetUrl).url, 'ada', atCallback);
    expect(await victim.open(answer.url)).toMatchObject(failed);
    // nor is it used up by that
    expect((await attacker.open(answer.url)).html).toContain('act for you?');
  });

  test('a code of another login is refused under one’s own state', async () => {
    const [mine, theirs] = [createBrowser(), createBrowser()];
    const own = await people.passLogin(mine, people.request(toolsetUrl).url, 'ada', atCallback);
    const foreign = await people.passLogin(theirs, people.request(toolsetUrl).url, 'bob', atCallback);
    const code = new URL(foreign.url).searchParams.get('code') ?? '';
    expect(await mine.open(changed(own.url, { code }))).toMatchObject(failed);
  });

  test('an answer that names another issuer, or none though this one promises to, is refused before the code is sent anywhere', async () => {
    for (const iss of ['https://evil.example.test', undefined]) {
      const browser = createBrowser();
      const answer = await people.passLogin(browser, people.request(toolsetUrl).url, 'ada', atCallback);
      const page = await browser.open(changed(answer.url, { iss }));
      expect(page).toMatchObject(failed);
      expect(page.html).not.toContain('evil');
      expect(people.logLines.join('')).not.toContain(new URL(answer.url).searchParams.get('code'));
    }
  });

  test('an answer is good once', async () => {
    const browser = createBrowser();
    const answer = await people.passLogin(browser, people.request(toolsetUrl).url, 'ada', atCallback);
    expect((await browser.open(answer.url)).html).toContain('act for you?');
    expect(await browser.open(answer.url)).toMatchObject(failed);
  });

  test('what a foreign issuer says of an error is not shown', async () => {
    const browser = createBrowser();
    const answer = await people.passLogin(browser, people.request(toolsetUrl).url, 'ada', atCallback);
    const text = 'call 555-0100 to unlock your account';
    const page = await browser.open(changed(answer.url, { code: undefined, error: 'access_denied', error_description: text }));
    expect(page).toMatchObject(failed);
    expect(page.html).not.toContain('555');
  });

  test('the company is asked with state, nonce and PKCE by S256', async () => {
    await people.logIn('ada', toolsetUrl);
    const sent = people.company.authorizations.at(-1);
    expect(sent?.get('code_challenge_method')).toBe('S256');
    for (const name of ['state', 'nonce', 'code_challenge']) expect(sent?.get(name)?.length).toBeGreaterThanOrEqual(43);
  });

  test('people of two issuers with one subject are two people', async () => {
    const other = await startCompanyIdp(`${people.issuerUrl}/login/callback`);
    try {
      await people.gateway.apply({ ...companyProvider(other.issuer), metadata: { name: 'other' } });
      const browser = createBrowser();
      const choose = await browser.open(people.request(toolsetUrl).url);
      expect(choose.html).toMatch(/company.*other/);
      const links = [...choose.html.matchAll(/href="([^"]+)"/g)].map(([, href = '']) => new URL(href, choose.url).href);
      const page = await browser.open(links[1] ?? '');
      expect(page.url.startsWith(other.issuer)).toBe(true);
      await browser.open(`${page.url}?employee=ada`);
      const { rows } = await people.database.$client.query(`select id, issuer from people where subject = 'u-0001'`);
      expect(new Set(rows.map(({ id }) => id)).size).toBe(2);
      expect(rows.map(({ issuer }) => issuer).sort()).toEqual([other.issuer, people.company.issuer].sort());
    } finally {
      await people.database.$client.query(`delete from resources where kind = 'IdentityProvider' and name = 'other'`);
      await other.close();
    }
  });
});

describe('the authorization endpoint', () => {
  const open = (changes: Record<string, string | undefined>, resource: string | string[] = toolsetUrl) =>
    createBrowser().open(people.request(resource, changes).url, (url) => !url.startsWith('http://127.0.0.1') || url.includes(':5/'));
  const errorOf = async (changes: Record<string, string | undefined>, resource?: string | string[]) =>
    new URL((await open(changes, resource)).url).searchParams.get('error');

  test('refuses a request without PKCE, or with any other method than S256', async () => {
    expect(await errorOf({ code_challenge: undefined, code_challenge_method: undefined })).toBe('invalid_request');
    expect(await errorOf({ code_challenge_method: 'plain' })).toBe('invalid_request');
    expect(await errorOf({ code_challenge_method: undefined })).toBe('invalid_request');
  });

  test('sends nobody to an address that is not registered', async () => {
    const addresses = [
      'https://evil.example.test/callback',
      'http://127.0.0.1:5/callback/../evil',
      'http://127.0.0.1:5/callbackx',
      'http://127.0.0.1.evil.example.test/callback',
      'http://evil@127.0.0.1:5/other',
      '//evil.example.test',
      'javascript:alert(1)',
    ];
    for (const redirect_uri of addresses) {
      const page = await open({ redirect_uri });
      expect(page.status, redirect_uri).toBe(400);
      expect(page.url.startsWith(people.issuerUrl), redirect_uri).toBe(true);
    }
  });

  test('needs a resource of this installation', async () => {
    expect(await errorOf({}, [])).toBe('invalid_target');
    const base = people.gateway.publicUrl;
    for (const foreign of [
      'https://elsewhere.example.test/mcp',
      `${base}/mcp/UPPER`,
      `${base}/mcp/a/../b`,
      `${base}x/mcp`,
      `${base}/mcp/counting#x`,
      base,
    ])
      expect(await errorOf({}, foreign), foreign).toBe('invalid_target');
  });

  test('gives an agent’s token to no client of people, though one be allowed the grant', async () => {
    const clientId = 'registered-by-mistake';
    await putIssuerRecord(
      people.database,
      'Client',
      clientId,
      {
        client_id: clientId,
        redirect_uris: ['http://127.0.0.1/callback'],
        application_type: 'native',
        response_types: [],
        grant_types: [tokenExchangeGrant],
        token_endpoint_auth_method: 'none',
      },
      undefined,
    );
    const exchange = {
      grant_type: tokenExchangeGrant,
      subject_token_type: agentRunTokenType,
      subject_token: agentId,
      resource: `${people.gateway.publicUrl}/mcp/default/default/files`,
    };
    expect(await people.token({ ...exchange, client_id: clientId })).toMatchObject({ status: 400, body: { error: 'unauthorized_client' } });
    expect((await people.token({ ...exchange, client_id: 'quarterdeck-cli' })).status).toBe(400);
    const { issuerUrl } = people;
    const proofs = createJoinedProofs({ issuerUrl, joinToken: async () => makeJoinToken(joinKey) });
    const { token, type } = await proofs.prove(AbortSignal.timeout(10_000));
    const proof = { actor_token: token, actor_token_type: type };
    expect(await people.token({ ...exchange, client_id: clientId, ...proof })).toMatchObject({ status: 400 });
    expect((await people.token({ ...exchange, client_id: workerClientId, ...proof })).status).toBe(200);
  });

  test('gives no token without a code: no implicit, no password, no client credentials', async () => {
    const implicit = await open({ response_type: 'token' });
    expect(new URL(implicit.url).hash).toMatch(/error=(unsupported_response_type|unauthorized_client)/);
    expect(implicit.url).not.toContain('access_token');
    for (const grant_type of ['password', 'client_credentials'])
      expect((await people.token({ grant_type, client_id: 'quarterdeck-cli', username: 'a', password: 'b' })).status).toBe(400);
  });
});

describe('a code', () => {
  test('is good once; the second use ends the login that the first one began', async () => {
    const begun = people.request(toolsetUrl);
    const answer = await people.authorize(begun, 'ada');
    const first = await people.redeem(begun, answer);
    expect(first.status).toBe(200);
    expect(await people.redeem(begun, answer)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    await expect.poll(async () => (await people.call('/mcp/counting', first.body.access_token)).status, { timeout: 5000 }).toBe(401);
  });

  test('is good only with its own verifier, address, client and resource', async () => {
    const spoilt: Record<string, string>[] = [
      { code_verifier: 'x'.repeat(43) },
      { redirect_uri: 'http://127.0.0.1:6/callback' },
      { client_id: 'default/default/nobody' },
      { resource: people.apiResource },
    ];
    for (const changes of spoilt) {
      const begun = people.request(toolsetUrl);
      const { status } = await people.redeem(begun, await people.authorize(begun, 'ada'), changes);
      expect([400, 401], JSON.stringify(changes)).toContain(status);
    }
  });

  test('the answer that brings it names our issuer', async () => {
    const answer = await people.authorize(people.request(toolsetUrl), 'ada');
    expect(answer.get('iss')).toBe(people.issuerUrl);
  });
});

describe('the consent page', () => {
  test('takes no answer from another page, with the person’s cookies or without its form', async () => {
    const browser = createBrowser();
    const page = await people.passLogin(browser, people.request(toolsetUrl).url, 'ada');
    const action = new URL(/action="([^"]+)"/.exec(page.html)?.[1] ?? '', page.url).href;
    const formToken = /name="token" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
    const send = (fields: Record<string, string>, origin: string) =>
      browser.request(action, { method: 'POST', body: new URLSearchParams(fields), headers: { origin } });
    expect((await send({ answer: 'allow' }, people.issuerUrl)).status).toBe(403);
    expect((await send({ answer: 'allow', token: formToken }, 'http://127.0.0.1:5')).status).toBe(403);
    expect((await send({ answer: 'allow', token: formToken }, 'null')).status).toBe(403);
    expect((await send({ answer: 'allow', token: formToken }, people.issuerUrl)).status).toBe(303);
    // without the cookies of the browser that began it, the page is not even shown
    expect((await createBrowser().open(page.url)).status).toBe(400);
  });
});

describe('a token', () => {
  const sign = async (claims: JWTPayload, { key = people.signingKeys[0], header = {} }: { key?: JWK | undefined; header?: object } = {}) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: people.signingKeys[0]?.kid ?? '', ...header })
      .sign(await importJWK(key ?? {}, 'ES256'));
  /** The status of a call; a refusal has to say where tokens come from. */
  const status = async (candidate: string) => {
    const answer = await people.call('/mcp/counting', candidate);
    if (answer.status === 401) expect(answer.challenge).toContain('resource_metadata=');
    return answer.status;
  };
  const at = (offsetSeconds: number) => Math.floor(Date.now() / 1000) + offsetSeconds;

  test('for a sibling virtual server, the models or the api, and none at all, is refused with the address of the metadata; no server is called', async () => {
    const before = server.calls.length;
    const none = await fetch(toolsetUrl, { method: 'POST', body: '{}' });
    expect(none.status).toBe(401);
    expect(none.headers.get('www-authenticate')).toContain('resource_metadata=');
    for (const resource of ['/mcp/sibling', '/mcp', '/v1'].map((path) => `${people.gateway.publicUrl}${path}`).concat(people.apiResource)) {
      const other = await people.logIn('ada', resource);
      const answer = await people.call('/mcp/counting', other.access_token, 'tools/call', { name: 'look', arguments: {} });
      expect(answer.status, resource).toBe(401);
      expect(answer.challenge).toContain(
        `resource_metadata="${people.gateway.publicUrl}/.well-known/oauth-protected-resource/mcp/counting"`,
      );
    }
    expect(server.calls.length).toBe(before);
    expect((await people.askApi('/whoami', token)).status).toBe(401);
  });

  test('is refused unless it is signed by the issuer’s key, with its algorithm and type', async () => {
    const claims = decodeJwt(token);
    expect(await status(await sign(claims))).toBe(200);
    const parts = (header: object, signature: string) =>
      `${base64url.encode(JSON.stringify(header))}.${base64url.encode(JSON.stringify(claims))}.${signature}`;
    const kid = people.signingKeys[0]?.kid;
    expect(await status(parts({ alg: 'none', typ: 'at+jwt', kid }, ''))).toBe(401);
    // the public key as a shared secret
    const { d: _private, ...publicKey } = people.signingKeys[0] ?? {};
    const input = parts({ alg: 'HS256', typ: 'at+jwt', kid }, '').slice(0, -1);
    const mac = createHmac('sha256', JSON.stringify(publicKey)).update(input).digest('base64url');
    expect(await status(`${input}.${mac}`)).toBe(401);
    expect(await status(await sign(claims, { key: await makeSigningKey() }))).toBe(401);
    for (const typ of ['JWT', 'id_token', undefined]) expect(await status(await sign(claims, { header: { typ } }))).toBe(401);
    const [head, , signature] = token.split('.');
    expect(await status(`${head}.${base64url.encode(JSON.stringify({ ...claims, sub: 'default/admin' }))}.${signature}`)).toBe(401);
  });

  test('is refused when it is expired, from the future, too long-lived, of another issuer, of many audiences, of nobody’s login', async () => {
    const claims = decodeJwt(token);
    for (const changes of [
      { iat: at(-500), exp: at(-120) },
      { iat: at(300), exp: at(600) },
      { nbf: at(300) },
      { iat: at(0), exp: at(3600) },
      { iss: 'https://evil.example.test' },
      { aud: [String(claims.aud), 'https://evil.example.test'] },
      { sid: 'nobodys' },
      { sid: undefined },
      { sub: 'default/admin' },
      { org: 'other', sub: 'other/x' },
      { act: { sub: 'default/default/survey/run_1/read/reader/0' } },
    ])
      expect(await status(await sign({ ...claims, ...changes })), JSON.stringify(changes)).toBe(401);
    expect((await fetch(`${toolsetUrl}?access_token=${token}`, { method: 'POST', body: '{}' })).status).toBe(401);
  });

  test('without the scope is refused with 403, and the challenge names the scope', async () => {
    const begun = people.request(toolsetUrl, { scope: 'openid' });
    const { body } = await people.redeem(begun, await people.authorize(begun, 'ada'));
    const answer = await people.call('/mcp/counting', body.access_token);
    expect(answer.status).toBe(403);
    expect(answer.challenge).toMatch(/^Bearer error="insufficient_scope".*resource_metadata="[^"]+\/mcp\/counting", scope="mcp"$/);
    // who it was is known, so it is on record as theirs
    const row = await people.gateway.auditRow(({ errorCode }) => errorCode === 'scope_insufficient');
    expect(row).toMatchObject({
      ...{ kind: 'refusal', action: 'authenticate', decision: 'deny', outcome: 'refused', toolset: 'counting' },
      ...{ person: decodeJwt(body.access_token).sub?.split('/')[1], durationMs: expect.any(Number) },
    });
    // nor is an ID token an access token
    expect(await status(body.id_token)).toBe(401);
  });
});
