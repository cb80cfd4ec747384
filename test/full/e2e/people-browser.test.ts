import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findOnPath } from '../../../cli/setup/find-on-path.mjs';
import type { ReadyFile } from '../../../cli/up/ready-file.ts';
import { type BackendIssuer, backendClient, startBackendIssuer } from '../../support/backend-issuer.ts';
import { type CompanyIdp, companyClient, startCompanyIdp } from '../../support/company-idp.ts';
import { startCountingServer } from '../../support/counting-server.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { type ProtectedServer, startProtectedServer } from '../../support/protected-server.ts';
import { runCli, startCli } from '../../support/run-cli.ts';
import { createPlatformPlace, type PlatformPlace } from '../../support/running-platform.ts';

let place: PlatformPlace;
let company: CompanyIdp;
let server: Awaited<ReturnType<typeof startCountingServer>>;
/** A server of another company, which takes only what its own authorization server has made for it. */
let guarded: ProtectedServer;
let backend: BackendIssuer;
let ready: ReadyFile;
let browser: Browser;
let stop: () => Promise<unknown>;

const resources = (issuer: string, serverUrl: string): string =>
  [
    {
      kind: 'IdentityProvider',
      metadata: { name: 'company' },
      spec: {
        displayName: 'The company',
        issuer,
        clientId: companyClient.id,
        clientSecret: { env: 'COMPANY_SECRET' },
        claims: { groups: 'teams' },
      },
    },
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: serverUrl, transport: 'streamable-http' } },
    { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'Toolset', metadata: { name: 'some' }, spec: { servers: [{ name: 'counting', tools: ['look'] }], naming: 'plain' } },
    {
      kind: 'McpServer',
      metadata: { name: 'guarded' },
      spec: {
        url: guarded.url,
        transport: 'streamable-http',
        auth: { kind: 'tokenExchange', issuer: backend.issuer, client: { id: backendClient.id, secret: { env: 'BACKEND_SECRET' } } },
      },
    },
    { kind: 'Toolset', metadata: { name: 'guarded' }, spec: { servers: [{ name: 'guarded' }], naming: 'plain' } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'engineers' },
      spec: { subjects: [{ group: 'engineering' }], toolsets: ['all', 'guarded'] },
    },
    { kind: 'AccessBinding', metadata: { name: 'sellers' }, spec: { subjects: [{ group: 'sales' }], toolsets: ['some'] } },
  ]
    .map((resource) => JSON.stringify({ apiVersion: 'quarterdeck.dev/v1alpha1', ...resource }))
    .join('\n---\n');

beforeAll(async () => {
  const executablePath = findOnPath('chromium');
  if (executablePath === undefined) throw new Error('chromium is missing; `npm run test:full` installs it where it can');
  browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic'] });
  place = await createPlatformPlace();
  company = await startCompanyIdp(`http://127.0.0.1:${place.port + 2}/login/callback`);
  server = await startCountingServer();
  const issuerUrl = `http://127.0.0.1:${place.port + 2}`;
  backend = await startBackendIssuer({ trusts: { issuerUrl, jwksUri: `${issuerUrl}/jwks` } });
  guarded = await startProtectedServer({ issuer: backend.issuer, jwksUri: backend.jwksUri });
  const secrets = { COMPANY_SECRET: companyClient.secret, BACKEND_SECRET: backendClient.secret };
  const platform = await place.start(['--profile', 'dev'], secrets);
  ready = platform.ready;
  stop = () => {
    platform.child.kill('SIGTERM');
    return platform.ended;
  };
  const applied = await runCli(['apply', '-f', '-', '--data', place.data], { input: resources(company.issuer, server.url) });
  expect(applied).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await browser?.close();
  await stop?.();
  await company?.close();
  await server?.close();
  await guarded?.close();
  backend?.close();
  place?.close();
});

/** Runs `quarterdeck login` as a user of their own, with a browser of their own that plays `at` the pages. */
const logIn = async (name: string, resource: string, at: (page: Page) => Promise<void>) => {
  const env = { QUARTERDECK_URL: ready.url, XDG_CONFIG_HOME: join(place.folder, name), QUARTERDECK_DATA: join(place.folder, 'none') };
  const cli = startCli(['login', '--no-browser', '--resource', resource], { env });
  const address = await pollUntil(() => /^ {2}(http\S+)$/m.exec(cli.text.stderr)?.[1], 'the address');
  const context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  await page.goto(address);
  await at(page);
  await page.getByText('You are logged in').waitFor();
  await context.close();
  const { code, stdout } = await cli.ended;
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('logged in as default/') });
  return env;
};

const atCompany = (employee: string) => async (page: Page) => {
  await page.getByText('The company').click();
  await page.locator('input[name=employee]').fill(employee);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: /act for you/ }).waitFor();
  await page.getByRole('button', { name: 'Allow' }).click();
};

test('a person logs in at the company by a real browser, gets the tools of their groups, and calls one; their token ends at the gateway', async () => {
  const ada = await logIn('ada', `${ready.mcpUrl}/all`, atCompany('ada'));
  const bob = await logIn('bob', `${ready.mcpUrl}/some`, atCompany('bob'));
  const adaTools = await pollUntil(async () => {
    const { stdout } = await runCli(['mcp', 'ls', 'all'], { env: ada });
    return stdout.includes('look') ? stdout : undefined;
  }, 'the tools');
  expect(adaTools).toContain('act');
  const bobTools = await runCli(['mcp', 'ls', 'some'], { env: bob });
  expect(bobTools.stdout).toContain('look');
  expect(bobTools.stdout).not.toContain('act');
  const called = await runCli(['mcp', 'call', 'look', '--toolset', 'all', 'path=/ok/a'], { env: ada });
  expect(called).toMatchObject({ code: 0, stdout: expect.stringContaining('of look') });
  const token = (await runCli(['token', '--resource', `${ready.mcpUrl}/all`], { env: ada })).stdout.trim();
  expect(token).toMatch(/^eyJ/);
  for (const headers of server.headersSeen) expect(headers).not.toHaveProperty('authorization');
  expect(JSON.stringify(server.headersSeen)).not.toContain(token.slice(0, 40));
  const audit = await runCli(['audit', 'query', '-o', 'json', '--data', place.data]);
  expect(audit.stdout).toMatch(/ada-lovelace-[0-9a-f]{16}/);
});

test('a person calls a tool whose server demands a token of its own audience; nothing that is the person’s is on that wire', async () => {
  const ada = await logIn('ada-guarded', `${ready.mcpUrl}/guarded`, atCompany('ada'));
  const called = await pollUntil(async () => {
    const answer = await runCli(['mcp', 'call', 'look', '--toolset', 'guarded', 'path=/ok/a'], { env: ada });
    return answer.code === 0 ? answer : undefined;
  }, 'the call');
  expect(called.stdout).toContain('of look');
  const { claims } = guarded.seen.findLast(({ body }) => body.includes('"tools/call"')) ?? {};
  expect(claims).toMatchObject({ aud: guarded.url, sub: expect.stringMatching(/^default\/ada-lovelace-/) });
  const token = (await runCli(['token', '--resource', `${ready.mcpUrl}/guarded`], { env: ada })).stdout.trim();
  const wire = JSON.stringify([guarded.seen, backend.seen.map(({ form, ...rest }) => ({ ...rest, form: form.toString() }))]);
  const [, payload = '', signature = ''] = token.split('.');
  for (const piece of [token, payload, signature, ready.adminToken ?? '']) {
    expect(piece.length).toBeGreaterThan(20);
    expect(wire).not.toContain(piece);
  }
});

test('a person logs in for a machine without a browser, by a code that they enter in a real one', async () => {
  const env = { QUARTERDECK_URL: ready.url, XDG_CONFIG_HOME: join(place.folder, 'headless'), QUARTERDECK_DATA: join(place.folder, 'none') };
  const cli = startCli(['login', '--device'], { env });
  const [address = '', code = ''] = await pollUntil(() => /^ {2}(http\S+)\n {2}(\S+)$/m.exec(cli.text.stderr)?.slice(1), 'the code');
  const context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  await page.goto(address);
  await page.locator('input[name=user_code]').fill(code);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByText(code).waitFor();
  await page.getByRole('button', { name: 'It is mine' }).click();
  await atCompany('ada')(page);
  await page.getByText('You are logged in').waitFor();
  await context.close();
  expect(await cli.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('logged in as default/ada-lovelace-') });
});

test('an administrator rotates the key that tokens are signed with, and denies one; commands go on with new tokens', async () => {
  type Key = { kid: string; state: string };
  const keys = async (): Promise<Key[]> =>
    JSON.parse((await runCli(['token', 'keys', 'ls', '-o', 'json', '--data', place.data])).stdout).keys;
  const env = await logIn('signing', `${ready.mcpUrl}/all`, atCompany('ada'));
  expect((await keys()).map(({ state }) => state)).toEqual(['signing', 'next']);
  const rotated = await runCli(['token', 'keys', 'rotate', '--data', place.data]);
  expect(rotated).toMatchObject({ code: 0, stdout: expect.stringMatching(/ signs from 20/) });
  const signing = (await keys()).find(({ state }) => state === 'signing')?.kid ?? '';
  expect(await runCli(['token', 'keys', 'deny', signing, '--data', place.data])).toMatchObject({ code: 0 });
  expect((await keys()).find(({ kid }) => kid === signing)?.state).toBe('denied');
  const said = await pollUntil(async () => {
    const { code, stdout } = await runCli(['whoami', '-o', 'name'], { env });
    return code === 0 ? stdout : undefined;
  }, 'a token of the next key');
  expect(said).toMatch(/^ada-lovelace-/);
  expect(await runCli(['token', 'keys', 'ls'], { env })).toMatchObject({ code: 4 });
});

test('the admin of this machine logs in at its own login provider', async () => {
  const env = await logIn('admin', ready.mcpUrl, async (page) => {
    await page.getByText('This machine').click();
    await page.locator('input[name=person]').fill('admin');
    await page.locator('input[name=password]').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('wrong password').waitFor();
    await page.locator('input[name=person]').fill('admin');
    await page.locator('input[name=password]').fill(ready.adminToken ?? '');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('button', { name: 'Allow' }).click();
  });
  expect(JSON.parse((await runCli(['whoami', '-o', 'json'], { env })).stdout)).toMatchObject({
    id: 'admin',
    roles: ['administrator'],
    stamp: 'login',
  });
});
