import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBrowser } from '../support/browser.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { adminToken } from '../support/running-gateway.ts';
import { type RunningPeople, startRunningPeople } from '../support/running-people.ts';

let people: RunningPeople;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let folder: string;
let env: Record<string, string>;
let toolsetUrl: string;

beforeAll(async () => {
  server = await startCountingServer();
  people = await startRunningPeople();
  await people.gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'engineers' }, spec: { subjects: [{ group: 'engineering' }], toolsets: ['counting'] } },
  );
  await people.gateway.ready('counting');
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-login-'));
  env = { QUARTERDECK_URL: people.gateway.publicUrl, XDG_CONFIG_HOME: folder, QUARTERDECK_DATA: join(folder, 'none') };
  toolsetUrl = `${people.gateway.publicUrl}/mcp/counting`;
});
afterAll(async () => {
  await people.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const credentials = () => join(folder, 'quarterdeck', 'credentials.json');

/** Runs `login` and plays the person at the browser, who answers what they are asked. */
const logIn = async (args: string[] = [], answer = 'allow', employee = 'ada') => {
  const cli = startCli(['login', ...args], { env });
  const address = await pollUntil(() => /^ {2}(http\S+)$/m.exec(cli.text.stderr)?.[1], 'the address');
  const browser = createBrowser();
  const back = (url: string) => url.startsWith(new URL(address).searchParams.get('redirect_uri') ?? '');
  const page = await people.passLogin(browser, address, employee, back);
  await (back(page.url) ? browser.open(page.url) : browser.submit(page, { answer }));
  return { ...(await cli.ended), address };
};

test('without a login a command says how to get one', async () => {
  const { code, stderr } = await runCli(['whoami'], { env });
  expect(code).toBe(1);
  expect(stderr).toContain('quarterdeck login');
});

test('login by the browser; then commands act as that person, and what is kept is for them alone', async () => {
  const { code, stdout, stderr, address } = await logIn();
  expect({ code, stdout }).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^logged in as default\/ada-lovelace-[0-9a-f]{16} at http/),
  });
  expect(new URL(address).searchParams.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  expect(`${stdout}${stderr}`).not.toMatch(/eyJ/);
  expect(statSync(credentials()).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'quarterdeck')).mode & 0o777).toBe(0o700);
  const who = await runCli(['whoami', '-o', 'json'], { env });
  expect(JSON.parse(who.stdout)).toMatchObject({ groups: ['engineering'], stamp: 'login' });
});

test('token prints one token for one resource, and renews what has run out', { timeout: 90_000 }, async () => {
  const api = (await runCli(['token'], { env })).stdout.trim();
  expect(decodeJwt(api)).toMatchObject({ aud: people.apiResource, scope: 'api' });
  const everything = (await runCli(['token', '--resource', `${people.gateway.publicUrl}/mcp`], { env })).stdout.trim();
  expect((await people.call('/mcp', everything)).text).toContain('counting__look');
  expect((await runCli(['token', '--resource', `${people.gateway.publicUrl}/mcp`], { env })).stdout.trim()).toBe(everything);
  const kept = JSON.parse(readFileSync(credentials(), 'utf8'));
  for (const token of Object.values(kept.logins[0].tokens) as { expiresAt: number }[]) token.expiresAt = Date.now() - 1;
  writeFileSync(credentials(), JSON.stringify(kept), { mode: 0o600 });
  // four at once, and the refresh token is good once
  const together = await Promise.all(Array.from({ length: 4 }, () => runCli(['token'], { env })));
  expect(together.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  expect(new Set(together.map(({ stdout }) => stdout)).size).toBe(1);
  const renewed = together[0]?.stdout.trim() ?? '';
  expect(renewed).not.toBe(api);
  expect(await people.askApi('/whoami', renewed)).toMatchObject({ status: 200, body: { stamp: 'login' } });
  // nobody was told to open anything
  expect(together.map(({ stderr }) => stderr).join('')).not.toContain('http');
});

test('a toolset needs a login for it, and the command says so; then its tools can be called', { timeout: 90_000 }, async () => {
  const { code, stderr } = await runCli(['mcp', 'ls', 'counting'], { env });
  expect(code).not.toBe(0);
  expect(stderr).toContain(`quarterdeck login --resource ${toolsetUrl}`);
  await logIn(['--resource', toolsetUrl]);
  const called = await runCli(['mcp', 'call', 'look', '--toolset', 'counting', 'path=/ok/a'], { env });
  expect(called.stdout).toContain('of look');
});

test('whoever says no in the browser is not logged in, and what was kept before stays', async () => {
  const { code, stderr } = await logIn([], 'deny');
  expect({ code, stderr }).toMatchObject({ code: 4, stderr: expect.stringContaining('did not let') });
  expect((await runCli(['whoami', '-o', 'name'], { env })).code).toBe(0);
});

test('an issuer that the platform does not name gets nothing', async () => {
  const { code, stderr } = await runCli(['login', '--issuer', people.company.issuer, '--wait', '5'], { env });
  expect(code).toBe(1);
  expect(stderr).toContain('issues no tokens for the platform');
});

test('the answer is taken from the browser alone: who knocks at the port without the state gets nowhere', async () => {
  const cli = startCli(['login', '--wait', '20'], { env });
  const address = await pollUntil(() => /^ {2}(http\S+)$/m.exec(cli.text.stderr)?.[1], 'the address');
  const redirect = new URL(address).searchParams.get('redirect_uri') ?? '';
  expect((await fetch(`${redirect}?code=stolen&state=guessed`)).status).toBe(404);
  expect((await fetch(`${redirect}?code=stolen`)).status).toBe(404);
  expect(cli.child.exitCode).toBeNull();
  cli.child.kill();
  await cli.ended;
});

// each command is a process of its own, which takes a second or two on a busy machine
test('an administrator shuts a person out, and lets them in again', { timeout: 90_000 }, async () => {
  const { id } = JSON.parse((await runCli(['whoami', '-o', 'json'], { env })).stdout);
  const admin = { ...env, QUARTERDECK_TOKEN: adminToken };
  const listed = JSON.parse((await runCli(['people', 'ls', '-o', 'json'], { env: admin })).stdout);
  expect(listed.people).toContainEqual(
    expect.objectContaining({ id, groups: ['engineering'], issuer: people.company.issuer, disabled: false }),
  );
  const token = (await runCli(['token', '--resource', toolsetUrl], { env })).stdout.trim();
  expect((await people.call('/mcp/counting', token)).status).toBe(200);
  expect((await runCli(['people', 'disable', id], { env: admin })).stdout).toContain('shut out');
  await expect.poll(async () => (await people.call('/mcp/counting', token)).status, { timeout: 5000 }).toBe(401);
  expect((await runCli(['whoami'], { env })).stderr).toContain('quarterdeck login');
  expect((await runCli(['people', 'enable', id], { env: admin })).code).toBe(0);
  await logIn(['--resource', toolsetUrl]);
  expect((await runCli(['whoami', '-o', 'name'], { env })).stdout.trim()).toBe(id);
});

test('nobody shuts themselves out, or somebody who is not there', async () => {
  const admin = { ...env, QUARTERDECK_TOKEN: adminToken };
  expect((await runCli(['people', 'disable', 'admin'], { env: admin })).stderr).toContain('cannot shut yourself out');
  expect((await runCli(['people', 'disable', 'nobody'], { env: admin })).stderr).toContain('There is no person nobody');
});

test('login by a browser of another machine, where a code is entered; nothing that is kept meanwhile lets the device in', async () => {
  const cli = startCli(['login', '--device'], { env });
  const [address = '', userCode = ''] = await pollUntil(() => {
    const found = /^ {2}(http\S+)\n {2}(\S+)$/m.exec(cli.text.stderr);
    return found ? [found[1] ?? '', found[2] ?? ''] : undefined;
  }, 'the code');
  expect(address).toBe(`${people.issuerUrl}/device`);
  expect(userCode).toMatch(/^[A-Z]{4}-[A-Z]{4}$/);

  const browser = createBrowser();
  const page = await browser.open(address);
  const wrong = await browser.submit(page, { user_code: 'BBBB-BBBB' });
  expect(wrong.html).toContain('There is no such code');
  const confirm = await browser.submit(wrong, { user_code: userCode });
  expect(confirm.html).toContain('Quarterdeck on the command line');
  expect(confirm.html).toContain(userCode);
  expect(confirm.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
  const atCompany = await browser.submit(confirm, {});
  const consent = await browser.open(`${atCompany.url}?employee=ada`);
  expect(consent.html).toContain('the device whose code you entered');
  const dump = JSON.stringify(
    (await people.database.$client.query(`select * from issuer_records where model in ('DeviceCode', 'Interaction')`)).rows,
  );
  expect(dump).not.toMatch(/"deviceCode":/);
  const end = await browser.submit(consent, { answer: 'allow' });
  expect(end.html).toContain('You are logged in');
  expect(await cli.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('logged in as default/ada-lovelace-') });
  const who = JSON.parse((await runCli(['whoami', '-o', 'json'], { env })).stdout);
  expect(who.login.ageSeconds).toBeLessThan(60);
});

test('a code that somebody else sent is turned down, and the device is told', async () => {
  const cli = startCli(['login', '--device'], { env });
  const userCode = await pollUntil(() => /^ {2}http\S+\n {2}(\S+)$/m.exec(cli.text.stderr)?.[1], 'the code');
  const browser = createBrowser();
  const confirm = await browser.submit(await browser.open(`${people.issuerUrl}/device`), { user_code: userCode });
  expect((await browser.submit(confirm, { abort: 'yes' })).html).toContain('was not let in');
  expect(await cli.ended).toMatchObject({ code: 4, stderr: expect.stringContaining('did not let') });
});

test('login --fresh makes the company ask again', async () => {
  const asked = people.company.authorizations.length;
  const { code, address } = await logIn(['--fresh']);
  expect({ code, prompt: new URL(address).searchParams.get('prompt') }).toEqual({ code: 0, prompt: 'login' });
  expect(people.company.authorizations.slice(asked).map((parameters) => parameters.get('max_age'))).toContain('0');
});

test('login --fresh --acr 2 asks the company, in its own name for it, for two things, and the login then counts as such', async () => {
  const asked = people.company.authorizations.length;
  const { code, stderr, address } = await logIn(['--fresh', '--acr', '2'], 'allow', 'ada&key=yes');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(new URL(address).searchParams.get('acr_values')).toBe('2');
  const [atCompany] = people.company.authorizations.slice(asked);
  expect([atCompany?.get('acr_values'), atCompany?.get('prompt'), atCompany?.get('max_age')]).toEqual(['phr', 'login', '0']);
  const { login } = JSON.parse((await runCli(['whoami', '-o', 'json'], { env })).stdout);
  expect(login.level).toBe(2);
  expect(login.ageSeconds).toBeLessThan(60);
});

test('a person who shows but one thing is told so, gets no token, and keeps the login they had', async () => {
  const before = readFileSync(credentials(), 'utf8');
  const { code, stderr } = await logIn(['--fresh', '--acr', '2']);
  expect(code).toBe(4);
  expect(stderr).toContain('as strong as 2 was asked for, and the one at the company was urn:company:password');
  expect(readFileSync(credentials(), 'utf8')).toBe(before);
});

test.each([
  [['--device', '--acr', '2'], /--device goes with neither/],
  [['--acr', 'a b'], /is not the name of a kind of login/],
])('login %s is refused before anything is asked', async (args, message) => {
  const { code, stderr } = await runCli(['login', ...args], { env });
  expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
});

test('logout ends the login at the issuer and here', { timeout: 90_000 }, async () => {
  const token = (await runCli(['token', '--resource', toolsetUrl], { env })).stdout.trim();
  expect((await people.call('/mcp/counting', token)).status).toBe(200);
  expect((await runCli(['logout'], { env })).stdout).toContain('logged out');
  await expect.poll(async () => (await people.call('/mcp/counting', token)).status, { timeout: 5000 }).toBe(401);
  expect(JSON.parse(readFileSync(credentials(), 'utf8'))).toEqual({ logins: [] });
  expect((await runCli(['logout'], { env })).stdout).toContain('not logged in');
  expect((await runCli(['whoami'], { env })).code).toBe(1);
});

test('a file that is damaged is named, and left as it is', async () => {
  mkdirSync(join(folder, 'quarterdeck'), { recursive: true });
  writeFileSync(credentials(), '{ half');
  const { code, stderr } = await runCli(['whoami'], { env });
  expect(code).toBe(1);
  expect(stderr).toContain(credentials());
  expect(readFileSync(credentials(), 'utf8')).toBe('{ half');
});
