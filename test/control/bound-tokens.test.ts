import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findResource } from '../../store/resources.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../support/backend-issuer.ts';
import { createBrowser } from '../support/browser.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../support/protected-server.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let issuer: BackendIssuer;
/** Of the same kind, and wants its nonce in each proof. */
let strictIssuer: BackendIssuer;
let server: ProtectedServer;
let strictServer: ProtectedServer;

const client = { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } };
const declare = async (name: string, auth: object, url: string): Promise<void> => {
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name }, spec: { url, auth, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name }, spec: { subjects: [{ group: 'engineering' }], toolsets: [name] } },
  );
};
const tokenFor = async (toolset: string) => (await people.logIn('ada', `${people.gateway.publicUrl}/mcp/${toolset}`)).access_token;
const callTool = (toolset: string, token: string) => people.call(`/mcp/${toolset}`, token, 'tools/call', { name: 'look', arguments: {} });
const called = (toolset: string, token: string) =>
  pollUntil(async () => ((await callTool(toolset, token)).text.includes('of look') ? true : undefined), 'a call goes through');
const connect = async (name: string): Promise<void> => {
  const browser = createBrowser();
  const page = await people.passLogin(browser, `${people.issuerUrl}/connect/default/default/${name}`, 'ada');
  const { html } = await browser.submit(page, { answer: 'allow' });
  const there = (/class="button" href="([^"]+)"/.exec(html)?.[1] ?? '').replaceAll('&amp;', '&');
  const login = await browser.open(there, (each) => each.includes('/interaction/'));
  expect((await browser.open(`${login.url}?user=ada`)).html).toContain('is connected');
};
const mcpAt = ({ seen }: ProtectedServer) => seen.filter(({ path, headers }) => path === '/mcp' && headers.authorization !== undefined);
const proofIn = (proof: unknown) => ({ ...decodeProtectedHeader(String(proof)), ...decodeJwt(String(proof)) });

beforeAll(async () => {
  people = await startRunningPeople({ environment: { BACKEND_SECRET: backendClient.secret } });
  const redirectUris = [`${people.issuerUrl}/connect/callback`];
  issuer = await startBackendIssuer({ redirectUris, bindsTokens: true });
  strictIssuer = await startBackendIssuer({ redirectUris, bindsTokens: true, wantsNonce: true });
  server = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri, bound: {} });
  strictServer = await startProtectedServer({ issuer: strictIssuer.issuer, jwksUri: strictIssuer.jwksUri, bound: { nonces: true } });
});
afterAll(async () => {
  await people.close();
  await Promise.all([server.close(), strictServer.close()]);
  issuer.close();
  strictIssuer.close();
});

describe('a server that takes only tokens that are bound to a key', () => {
  let token: string;
  beforeAll(async () => {
    await declare('bound', { kind: 'userGrant' }, server.url);
    token = await tokenFor('bound');
    await connect('bound');
    await called('bound', token);
  });

  test('sees the scheme DPoP and, with each request, a new proof for that request by the key of the token', async () => {
    await callTool('bound', token);
    await callTool('bound', token);
    const requests = mcpAt(server);
    expect(requests.length).toBeGreaterThan(4);
    expect(new Set(requests.map(({ proof }) => proof))).toEqual(new Set(['good']));
    expect(requests.every(({ headers }) => String(headers.authorization).startsWith('DPoP '))).toBe(true);
    const proofs = requests.map(({ headers }) => proofIn(headers.dpop));
    expect(new Set(proofs.map(({ jti }) => jti)).size).toBe(proofs.length);
    expect(new Set(proofs.map(({ jwk }) => jwk?.x)).size).toBe(1);
  });

  test('the issuer saw a proof by that key at its token endpoint', async () => {
    const asked = issuer.seen.find(({ form }) => form.get('grant_type') === 'authorization_code');
    expect(proofIn(asked?.proof)).toMatchObject({ alg: 'ES256', typ: 'dpop+jwt', htm: 'POST', htu: `${issuer.issuer}/token` });
    expect(proofIn(asked?.proof).jwk).toEqual(proofIn(mcpAt(server).at(-1)?.headers.dpop).jwk);
  });

  test('a grant is renewed with its own key, to which the refresh token of a client without a secret is bound', async () => {
    await people.database.$client.query("update backend_grants set expires_at = now() where server = 'bound'");
    const renewals = () => issuer.seen.filter(({ form, status }) => form.get('grant_type') === 'refresh_token' && status === 200);
    await pollUntil(
      async () => {
        await callTool('bound', token);
        return renewals().length > 0 ? true : undefined;
      },
      'it is renewed',
      30_000,
    );
    expect(proofIn(renewals()[0]?.proof).jwk).toEqual(proofIn(mcpAt(server)[0]?.headers.dpop).jwk);
    await called('bound', token);
  });

  test('the key is readable neither in the database nor in a log, and people never see a piece of it', async () => {
    const { rows } = await people.database.$client.query("select encode(sealed, 'escape') as text from backend_grants");
    const asked = await people.credentialRequest('bound', `person:${await accountOfAda()}`);
    const response = await fetch(`${people.issuerUrl}/credentials`, {
      method: 'POST',
      headers: { authorization: `Bearer ${people.gatewayKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(asked),
    });
    const { proofKey } = (await response.json()) as { proofKey: { d: string } };
    expect(proofKey.d).toMatch(/^[\w-]{43}$/);
    const shown = `${JSON.stringify(rows)}${people.logLines.join('')}${(await callTool('bound', token)).text}${JSON.stringify(server.seen)}`;
    expect(shown).not.toContain(proofKey.d);
  });

  test('the platform’s own token is bound to a key as well, a new one for each token', async () => {
    await declare('own', { kind: 'clientCredentials', issuer: issuer.issuer, client }, server.url);
    await people.gateway.ready('own');
    const before = mcpAt(server).length;
    await called('own', await tokenFor('own'));
    const mine = mcpAt(server).slice(before);
    expect(mine.map(({ proof }) => proof)).not.toContain('invalid_dpop_proof');
    expect(mine.at(-1)?.claims).toMatchObject({ cnf: { jkt: expect.any(String) }, aud: server.url });
  });

  test('an issuer that binds nothing is of no use to it, and its condition says why', async () => {
    const plain = await startBackendIssuer();
    const picky = await startProtectedServer({ issuer: plain.issuer, jwksUri: plain.jwksUri, bound: {} });
    await declare('picky', { kind: 'clientCredentials', issuer: plain.issuer, client }, picky.url);
    const place = { org: 'default', project: 'default', kind: 'McpServer' as const, name: 'picky' };
    const condition = await pollUntil(async () => {
      const found = await findResource(people.database, place);
      return found?.status.conditions.find(({ type, status }) => type === 'Ready' && status === 'False');
    }, 'a first look');
    expect(condition).toMatchObject({ reason: 'credential_refused', message: expect.stringContaining('bound to a key') });
    expect(mcpAt(picky)).toEqual([]);
    await picky.close();
    plain.close();
  });
});

const accountOfAda = async (): Promise<string> => {
  const { rows } = await people.database.$client.query("select org || '/' || id as account from people where id like 'ada%'");
  return rows[0]?.account;
};

describe('servers that want their own nonce in proofs', () => {
  test('get it: at the token endpoint and at the server one request more, and none from then on', async () => {
    await declare('strict', { kind: 'clientCredentials', issuer: strictIssuer.issuer, client }, strictServer.url);
    await people.gateway.ready('strict');
    const token = await tokenFor('strict');
    await called('strict', token);
    expect(strictIssuer.seen.filter(({ status }) => status === 400)).toHaveLength(1);
    const wanted = () => mcpAt(strictServer).filter(({ proof }) => proof === 'use_dpop_nonce').length;
    expect(wanted()).toBe(1);
    await called('strict', token);
    expect(wanted()).toBe(1);
    strictServer.state.nonce = 'nonce-2';
    await called('strict', token);
    expect(wanted()).toBe(2);
    expect(strictServer.inner.calls.filter(({ tool }) => tool === 'look')).toHaveLength(3);
    // another server of that issuer: the nonce is known there
    await declare('strict-too', { kind: 'clientCredentials', issuer: strictIssuer.issuer, client }, strictServer.url);
    await people.gateway.ready('strict-too');
    expect(strictIssuer.seen.filter(({ status }) => status === 400)).toHaveLength(1);
  });

  test('one that never takes the nonce that it gave is not asked again and again', async () => {
    const mad = await startProtectedServer({ issuer: strictIssuer.issuer, jwksUri: strictIssuer.jwksUri, bound: { nonces: true } });
    await declare('mad', { kind: 'clientCredentials', issuer: strictIssuer.issuer, client }, mad.url);
    await people.gateway.ready('mad');
    const token = await tokenFor('mad');
    await called('mad', token);
    const before = mcpAt(mad).length;
    let count = 0;
    Object.defineProperty(mad.state, 'nonce', { get: () => `other-${count++}` });
    const { text } = await callTool('mad', token);
    expect(text).toContain('credential_refused');
    expect(mcpAt(mad).length - before).toBe(2);
    await mad.close();
  });
});

test('a server that knows no proofs takes such a token as any other, after one request more', async () => {
  const simple = await startProtectedServer({ issuer: issuer.issuer, jwksUri: issuer.jwksUri });
  await declare('simple', { kind: 'clientCredentials', issuer: issuer.issuer, client }, simple.url);
  await people.gateway.ready('simple');
  const token = await tokenFor('simple');
  await called('simple', token);
  await called('simple', token);
  const schemes = mcpAt(simple).map(({ headers }) => String(headers.authorization).split(' ')[0]);
  expect(schemes.filter((scheme) => scheme === 'DPoP')).toHaveLength(1);
  expect(schemes.at(-1)).toBe('Bearer');
  expect(issuer.seen.filter(({ form }) => form.get('resource') === simple.url)).toHaveLength(1);
  await simple.close();
});
