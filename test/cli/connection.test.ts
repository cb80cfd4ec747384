import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { runCli } from '../support/run-cli.ts';
import { adminToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
let folder: string;
let stranger: Server;
let strangerUrl: string;
const overheard: string[] = [];
beforeAll(async () => {
  api = await startRunningApi();
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-cli-'));
  stranger = createServer((request, response) => {
    overheard.push(request.headers.authorization ?? '');
    if (request.url?.includes('moved')) response.writeHead(307, { location: `${api.url}/api/v1alpha1/whoami` }).end();
    else response.end('<html>hello</html>');
  }).listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  strangerUrl = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await api.close();
  stranger.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Makes a data folder as a running platform leaves it. */
const dataFolder = (name: string, change: object = {}): string => {
  const data = join(folder, name);
  mkdirSync(join(data, 'state'), { recursive: true });
  const ready = {
    url: `http://127.0.0.1:${api.port - 1}`,
    mcpUrl: `http://127.0.0.1:${api.port - 1}/mcp`,
    modelsUrl: `http://127.0.0.1:${api.port - 1}/v1`,
    consoleUrl: `${api.url}/`,
    apiUrl: api.url,
    metricsUrl: `${api.url}/metrics`,
    adminToken,
    reviewerToken,
    temporalAddress: '127.0.0.1:7233',
    databaseUrl: 'postgres://127.0.0.1/none',
    pid: process.pid,
    ...change,
  };
  writeFileSync(join(data, 'state', 'ready.json'), JSON.stringify(ready));
  return data;
};

test('finds the platform of a data folder, and its second person', async () => {
  const data = dataFolder('running');
  expect((await runCli(['whoami', '--data', data, '-o', 'name'])).stdout).toBe('admin\n');
  expect((await runCli(['whoami', '-o', 'name', '--as', 'reviewer'], { env: { QUARTERDECK_DATA: data } })).stdout).toBe('reviewer\n');
  expect((await runCli(['whoami'], { env: { XDG_DATA_HOME: folder, QUARTERDECK_DATA: data } })).stdout).toMatch(
    /^PERSON +ORG .*\nadmin +default /,
  );
});

test('says in one line that none runs', async () => {
  const none = join(folder, 'none');
  expect(await runCli(['get', 'all', '--data', none])).toEqual({
    code: 1,
    stdout: '',
    stderr: `Error: No platform runs on ${none}; start one with: quarterdeck up\n`,
  });
  const dead = dataFolder('dead', { apiUrl: `http://127.0.0.1:${await freePort()}` });
  expect((await runCli(['get', 'all', '--data', dead])).stderr).toBe(
    `Error: No platform runs on ${dead}; start one with: quarterdeck up\n`,
  );
  const json = await runCli(['get', 'all', '--data', none, '-o', 'json']);
  expect(JSON.parse(json.stderr).error).toMatchObject({ code: 'server_unavailable', exitCode: 1 });
});

test('never sends the token of the data folder to an address of the environment', async () => {
  const data = dataFolder('kept');
  const { code, stderr } = await runCli(['whoami'], { env: { QUARTERDECK_URL: strangerUrl, QUARTERDECK_DATA: data } });
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: `Error: There is no token for the platform at ${strangerUrl}. Next: log in with \`quarterdeck login\`, or set QUARTERDECK_TOKEN to yours\n`,
  });
  expect(overheard).toEqual([]);
});

test('says that what answers is no Quarterdeck, and that a token is not accepted', async () => {
  const env = { QUARTERDECK_URL: strangerUrl, QUARTERDECK_TOKEN: 'a-token-of-the-test-123' };
  expect((await runCli(['whoami'], { env })).stderr).toBe(
    `Error: What answers at ${strangerUrl} is no Quarterdeck (HTTP 200). Next: check QUARTERDECK_URL\n`,
  );
  const refused = await runCli(['whoami'], { env: { ...env, QUARTERDECK_URL: api.url } });
  expect(refused.stderr).toMatch(/^Error: The token is not known here, has expired, or its person is disabled\. Next: /);
});

test('follows no redirection with a token', async () => {
  const env = { QUARTERDECK_URL: `${strangerUrl}/moved`, QUARTERDECK_TOKEN: adminToken };
  const { code, stdout } = await runCli(['whoami'], { env });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
});

test('says which variable of the environment cannot be used, without its value', async () => {
  const { code, stderr } = await runCli(['whoami'], { env: { QUARTERDECK_URL: 'not a url' } });
  expect(code).toBe(1);
  expect(stderr).toContain('QUARTERDECK_URL');
  expect(stderr).not.toContain('not a url');
});

test('says that the profile has no second person', async () => {
  const data = dataFolder('solo', { reviewerToken: undefined });
  expect((await runCli(['whoami', '--data', data, '--as', 'reviewer'])).stderr).toContain(
    'has no person reviewer. Next: start it with `quarterdeck up --profile dev`',
  );
});
