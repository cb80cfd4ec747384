import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createGrantStore } from '../../store/backend-grants.ts';
import { revokeGrant } from '../../store/given-grants.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../support/backend-issuer.ts';
import { createBrowser, type Page } from '../support/browser.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../support/protected-server.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let issuer: BackendIssuer;
let server: ProtectedServer;

const declare = async (name: string, auth: object = {}, url = server.url): Promise<void> => {
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name }, spec: { url, auth: { kind: 'userGrant', ...auth }, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name }, spec: { subjects: [{ group: 'engineering' }, { group: 'sales' }], toolsets: [name] } },
  );
};
const consentUrl = (name: string, query = '') => `${people.issuerUrl}/connect/default/default/${name}${query}`;
const tokenFor = async (employee: string, toolset: string): Promise<string> =>
  (await people.logIn(employee, `${people.gateway.publicUrl}/mcp/${toolset}`)).access_token;
const callTool = (toolset: string, token: string, name = 'look') =>
  people.call(`/mcp/${toolset}`, token, 'tools/call', { name, arguments: {} });
const called = (toolset: string, token: string, name = 'look') =>
  pollUntil(async () => {
    const { text } = await callTool(toolset, token, name);
    return text.includes(`of ${name}`) ? text : undefined;
  }, `a call of ${name} goes through`);
const linkIn = ({ html }: Page): string => (/class="button" href="([^"]+)"/.exec(html)?.[1] ?? '').replaceAll('&amp;', '&');
const callsAt = (at = server) => at.seen.filter(({ body }) => body.includes('"tools/call"'));

/** A person agrees on our page; where the browser is sent then is returned, and not opened. */
const agree = async (employee: string, url: string, browser = createBrowser()) => {
  const page = await people.passLogin(browser, url, employee);
  const departure = await browser.submit(page, { answer: 'allow' });
  return { browser, page, departure, there: linkIn(departure) };
};
/** The whole way, back to our page. */
const connect = async (employee: string, url: string, user = employee): Promise<Page> => {
  const { browser, there } = await agree(employee, url);
  const login = await browser.open(there, (each) => each.includes('/interaction/'));
  return browser.open(`${login.url}?user=${user}`);
};
/** Up to the answer of the authorization server, which is not delivered. */
const answerFor = async (employee: string, url: string) => {
  const { browser, there } = await agree(employee, url);
  const login = await browser.open(there, (each) => each.includes('/interaction/'));
  const back = await browser.open(`${login.url}?user=${employee}`, (each) => each.startsWith(`${people.issuerUrl}/connect/callback`));
  return { browser, answer: new URL(back.url) };
};

beforeAll(async () => {
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret } });
  issuer = await startBackendIssuer({ redirectUris: [`${people.issuerUrl}/connect/callback`] });
  server = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri, needs: { act: 'tools.write' } });
  await declare('tracker');
});
afterAll(async () => {
  await people.close();
  await server.close();
  issuer.close();
});

describe('before anybody has granted anything', () => {
  test('a list is empty, the server is sent nothing, and its condition says where to connect it', async () => {
    const condition = await pollUntil(async () => {
      const { body } = await people.askApi('/default/default/resources/McpServer/tracker', await apiToken());
      return (body.status?.conditions ?? []).find(
        (each: { type: string; status: string }) => each.type === 'Ready' && each.status === 'False',
      );
    }, 'a first look');
    expect(condition).toMatchObject({ reason: 'grant_needed', message: expect.stringContaining(consentUrl('tracker')) });
    expect(server.seen.filter(({ path }) => path === '/mcp')).toEqual([]);
  });
});

const apiToken = async () => (await people.logIn('ada', people.apiResource)).access_token;

describe('the page on which a person connects a server', () => {
  test('names who asks, for what, and who is asked next; nothing has left, and no cookie of the grant is set, before the answer', async () => {
    const before = issuer.seen.length;
    const browser = createBrowser();
    const page = await people.passLogin(browser, consentUrl('tracker'), 'ada');
    for (const text of ['tracker', server.url, issuer.issuer, 'tools.read', 'default/ada']) expect(page.html).toContain(text);
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(browser.cookies().filter(({ name }) => name.includes('quarterdeck_grant'))).toEqual([]);
    expect(issuer.seen).toHaveLength(before);
  });

  test.each([
    ['without the token of the page', {}, {}],
    ['with a token that is made up', { token: 'x'.repeat(43) }, {}],
    ['from another origin', undefined, { origin: 'https://evil.example' }],
  ])('a yes %s is not one', async (_what, fields, headers) => {
    const browser = createBrowser();
    const page = await people.passLogin(browser, consentUrl('tracker'), 'ada');
    const token = /name="token" value="([^"]+)"/.exec(page.html)?.[1] ?? '';
    const body = new URLSearchParams({ answer: 'allow', ...(fields ?? { token }) });
    const response = await browser.request(consentUrl('tracker'), {
      method: 'POST',
      body,
      headers: { origin: people.issuerUrl, ...headers },
    });
    expect(response.status).toBe(403);
    expect(await response.text()).not.toContain(issuer.issuer);
  });

  test('the cookie of one person does not agree for another, and a new server is asked about anew', async () => {
    await declare('second');
    const browser = createBrowser();
    await people.passLogin(browser, consentUrl('tracker'), 'ada');
    const page = await browser.open(consentUrl('second'));
    expect(page.html).toContain('Connect second?');
    const body = new URLSearchParams({ answer: 'allow', token: /name="token" value="([^"]+)"/.exec(page.html)?.[1] ?? '' });
    const response = await browser.request(consentUrl('tracker'), { method: 'POST', body, headers: { origin: people.issuerUrl } });
    expect(response.status).toBe(403);
  });

  test('a no grants nothing', async () => {
    const browser = createBrowser();
    const page = await people.passLogin(browser, consentUrl('tracker'), 'ada');
    const answer = await browser.submit(page, { answer: 'deny' });
    expect(answer.html).toContain('Nothing was granted');
  });
});

describe('a grant', () => {
  test('a call without one says where to go; with one the server sees the person’s token of its own issuer, and no other', async () => {
    await declare('first');
    const token = await tokenFor('ada', 'first');
    expect((await connect('ada', consentUrl('first'))).html).toContain('first is connected');
    const answer = await called('first', token);
    expect(callsAt().at(-1)?.claims).toMatchObject({ sub: 'ada', aud: server.url, iss: issuer.issuer });
    // the client has neither that token nor any piece of it
    const [, granted = ''] = String(callsAt().at(-1)?.headers.authorization).split(' ');
    for (const piece of granted.split('.')) expect(`${answer}${token}`).not.toContain(piece);
    expect(people.logLines.join('')).not.toContain(granted.split('.')[2]);
    const bob = await tokenFor('bob', 'first');
    const { text } = await callTool('first', bob);
    expect(text).toContain('grant_needed');
    expect(text).toContain(consentUrl('first'));
    await connect('bob', consentUrl('first'));
    await called('first', bob);
    expect(callsAt().at(-1)?.claims).toMatchObject({ sub: 'bob' });
    await called('first', token);
    expect(callsAt().at(-1)?.claims).toMatchObject({ sub: 'ada' });
    expect(JSON.stringify(server.seen)).not.toContain(token.split('.')[2]);
  });

  test('a modern client that can send its person to a page is asked to, and its next round goes through', async () => {
    await declare('asking');
    const seeing = await tokenFor('ada', 'asking');
    await connect('ada', consentUrl('asking'));
    await called('asking', seeing);
    const bob = await tokenFor('bob', 'asking');
    const ask = (params: object) =>
      people.callModern('/mcp/asking', bob, 'tools/call', { name: 'look', arguments: {}, ...params }, { elicitation: { url: {} } });
    const first = await ask({});
    expect(first.result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { 'quarterdeck.dev/grant': { method: 'elicitation/create', params: { mode: 'url', url: consentUrl('asking') } } },
    });
    await connect('bob', consentUrl('asking'));
    let { requestState } = first.result;
    const second = await pollUntil(async () => {
      const answer = await ask({ requestState, inputResponses: { 'quarterdeck.dev/grant': { action: 'accept' } } });
      requestState = answer.result?.requestState;
      return answer.result?.content ? answer : undefined;
    }, 'the next round goes through');
    expect(JSON.stringify(second.result)).toContain('of look');
    expect(callsAt().at(-1)?.body).not.toContain('quarterdeck.dev/grant');
  });

  test('is renewed before it ends; its refresh token is used once, however many wait, and nothing of it is readable in the database', async () => {
    issuer.state.lifetimeSeconds = 30;
    await declare('short');
    const token = await tokenFor('ada', 'short');
    await connect('ada', consentUrl('short', '?scope=tools.read'));
    const before = issuer.seen.filter(({ form }) => form.get('grant_type') === 'refresh_token').length;
    const asked = await people.credentialRequest('short', `person:${await accountOf('ada')}`);
    const ask = () =>
      fetch(`${people.issuerUrl}/credentials`, {
        method: 'POST',
        headers: { authorization: `Bearer ${people.gatewayKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(asked),
      }).then((response) => response.json() as Promise<{ value: string }>);
    issuer.state.lifetimeSeconds = 120;
    const values = await Promise.all(Array.from({ length: 10 }, ask));
    expect(new Set(values.map(({ value }) => value)).size).toBe(1);
    expect(issuer.seen.filter(({ form }) => form.get('grant_type') === 'refresh_token').length - before).toBe(1);
    await called('short', token);
    const { rows } = await people.database.$client.query("select encode(sealed, 'escape') as text from backend_grants");
    for (const { value } of values) expect(JSON.stringify(rows)).not.toContain(value.slice(20, 60));
    expect(people.logLines.join('')).not.toContain(values[0]?.value.slice(-40));
  });

  test('one that is taken back is used no more, here at once and at the issuer after', async () => {
    await declare('taken');
    const token = await tokenFor('ada', 'taken');
    await connect('ada', consentUrl('taken'));
    await called('taken', token);
    const { grants } = (await people.askApi('/default/default/grants', await apiToken())).body;
    expect(grants).toContainEqual(expect.objectContaining({ server: 'taken', issuer: issuer.issuer }));
    const gone = await fetch(`${people.apiUrl}/api/v1alpha1/default/default/grants/taken`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${await apiToken()}` },
    });
    expect(gone.status).toBe(200);
    await pollUntil(async () => ((await callTool('taken', token)).text.includes('grant_needed') ? true : undefined), 'calls are refused');
    await pollUntil(async () => issuer.seen.some(({ path }) => path === '/token/revocation') || undefined, 'the issuer is told', 30_000);
    const rows = await people.gateway.audit({ kind: 'change' });
    expect(rows.map(({ action }) => action)).toEqual(expect.arrayContaining(['connectServer', 'revokeGrant']));
  });

  test('one that is taken back and given anew at once is ended at its issuer first; the new one stays', async () => {
    await declare('again');
    await connect('ada', consentUrl('again'));
    const { rows } = await people.database.$client.query("select 1 from backend_grants where server = 'again'");
    expect(rows).toHaveLength(1);
    const store = createGrantStore(people.database, deriveContentKeys(people.grantKey, 'grants'));
    const [, personId = ''] = (await accountOf('ada')).split('/');
    const old = await store.find({ org: 'default', project: 'default', server: 'again', personId });
    await fetch(`${people.apiUrl}/api/v1alpha1/default/default/grants/again`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${await apiToken()}` },
    });
    const before = issuer.seen.length;
    await connect('ada', consentUrl('again'));
    const asked = issuer.seen.slice(before).map(({ path, form }) => `${path} ${form.get('token') ?? form.get('grant_type')}`);
    expect(asked.slice(0, 3)).toEqual([
      `/token/revocation ${old?.tokens.refreshToken}`,
      `/token/revocation ${old?.tokens.accessToken}`,
      '/token authorization_code',
    ]);
    await called('again', await tokenFor('ada', 'again'));
  });

  test('one that is taken back while its person is at the issuer is ended there all the same', async () => {
    await declare('between');
    await connect('ada', consentUrl('between'));
    const store = createGrantStore(people.database, deriveContentKeys(people.grantKey, 'grants'));
    const [, personId = ''] = (await accountOf('ada')).split('/');
    const old = await store.find({ org: 'default', project: 'default', server: 'between', personId });
    const { browser, answer } = await answerFor('ada', consentUrl('between'));
    await revokeGrant(people.database, { org: 'default', project: 'default', server: 'between', personId });
    expect((await browser.open(answer.href)).html).toContain('is connected');
    const ended = issuer.seen.filter(({ path }) => path === '/token/revocation').map(({ form }) => form.get('token'));
    expect(ended).toContain(old?.tokens.refreshToken);
  });

  test('a scope that a call needs beyond it takes another consent, which names it', async () => {
    await declare('wider');
    const token = await tokenFor('ada', 'wider');
    await connect('ada', consentUrl('wider'));
    await called('wider', token);
    const { text } = await callTool('wider', token, 'act');
    expect(text).toContain('grant_needed');
    const url = /"consentUrl":"([^"]+)"/.exec(text)?.[1] ?? '';
    expect(new URL(url).searchParams.get('scope')?.split(' ')).toContain('tools.write');
    expect((await connect('ada', url)).html).toContain('is connected');
    await called('wider', token, 'act');
  });
});

describe('answers that are not to be believed', () => {
  let evil: BackendIssuer;
  beforeAll(async () => {
    evil = await startBackendIssuer();
  });
  afterAll(() => evil.close());
  let before: number;
  beforeEach(() => {
    before = issuer.seen.filter(({ form }) => form.get('grant_type') === 'authorization_code').length;
  });
  const codesSent = () => issuer.seen.filter(({ form }) => form.get('grant_type') === 'authorization_code').length - before;

  test('of another issuer by name (RFC 9207): the code is sent nowhere, and what the answer says is not shown', async () => {
    const { browser, answer } = await answerFor('ada', consentUrl('tracker'));
    answer.searchParams.set('iss', evil.issuer);
    const page = await browser.open(answer.href);
    expect(page.html).toContain('Not connected');
    expect(page.html).not.toContain(evil.issuer);
    expect(codesSent()).toBe(0);
  });

  test('without the issuer’s name, where that promises it', async () => {
    const { browser, answer } = await answerFor('ada', consentUrl('tracker'));
    answer.searchParams.delete('iss');
    expect((await browser.open(answer.href)).html).toContain('Not connected');
    expect(codesSent()).toBe(0);
  });

  test('in another browser than the one in which the person agreed', async () => {
    const { answer } = await answerFor('ada', consentUrl('tracker'));
    expect((await createBrowser().open(answer.href)).html).toContain('Not connected');
    expect(codesSent()).toBe(0);
  });

  test('a second time', async () => {
    const { browser, answer } = await answerFor('ada', consentUrl('tracker'));
    expect((await browser.open(answer.href)).html).toContain('is connected');
    expect((await browser.open(answer.href)).html).toContain('Not connected');
    expect(codesSent()).toBe(1);
  });

  test('a server that names another issuer gets nothing of a grant, nor does that issuer', async () => {
    const moving = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
    await declare('moving', {}, moving.url);
    const token = await tokenFor('ada', 'moving');
    await connect('ada', consentUrl('moving'));
    await called('moving', token);
    moving.state.issuers = [evil.issuer];
    moving.state.revoked = true;
    await pollUntil(async () => ((await callTool('moving', token)).text.includes('server_drifted') ? true : undefined), 'it is refused');
    expect(evil.seen).toEqual([]);
    await moving.close();
  });
});

const accountOf = async (employee: string): Promise<string> => {
  const { rows } = await people.database.$client.query("select org || '/' || id as account from people where id like $1", [`${employee}%`]);
  return rows[0]?.account;
};

test('a grant that is put in another person’s row does not open', async () => {
  const keys = deriveContentKeys(Buffer.alloc(32, 9).toString('base64'), 'grants');
  const store = createGrantStore(people.database, keys);
  const key = { org: 'default', project: 'default', server: 'stolen', personId: 'one' };
  const rest = { serverUid: 'u', url: 'http://x', issuer: 'http://i', resource: 'http://x', scopes: [], expiresAt: null };
  await store.put({ ...key, ...rest, tokens: { accessToken: 'secret' } });
  await people.database.$client.query("update backend_grants set person_id = 'two' where server = 'stolen'");
  await expect(store.find({ ...key, personId: 'two' })).rejects.toThrow(/does not open/);
});
