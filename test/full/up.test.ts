import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkPorts, type Listener, portOffsets, portsFrom } from '../../cli/up/ports.ts';
import { readReadyFile } from '../../cli/up/ready-file.ts';
import { pollUntil } from '../support/poll-until.ts';
import { startTestDatabase } from '../support/postgres.ts';
import { runCli } from '../support/run-cli.ts';
import { askApi, createPlatformPlace, type PlatformPlace } from '../support/running-platform.ts';

const names = ['supervisor', 'temporal', 'postgres', 'worker', 'gateway', 'control', 'local-model', 'host', 'egress'];
const project = (name: string, description: string) => ({
  apiVersion: 'quarterdeck.dev/v1alpha1',
  kind: 'Project',
  metadata: { name, project: name },
  spec: { description },
});
let place: PlatformPlace;

beforeEach(async () => {
  place = await createPlatformPlace();
});
afterEach(() => place.close());

test('brings everything up, says where it is, and leaves nothing running when it is interrupted', async () => {
  const { child, ended, text, ready } = await place.start(['--profile', 'dev']);
  expect(statSync(place.readyFile).mode & 0o777).toBe(0o600);
  expect(readReadyFile(join(place.data, 'state', 'ready.json'))).toEqual(ready);
  expect(ready).toMatchObject({ url: `http://127.0.0.1:${place.port}`, mcpUrl: `http://127.0.0.1:${place.port}/mcp`, pid: child.pid });
  expect(place.status().processes.map(({ name, state }) => `${name} ${state}`)).toEqual(names.map((name) => `${name} running`));

  expect((await askApi(ready, '/whoami')).body).toMatchObject({ id: 'admin', roles: ['administrator'] });
  expect((await askApi(ready, '/whoami', { token: ready.reviewerToken })).body).toMatchObject({ id: 'reviewer' });
  expect((await fetch(`${ready.url}/api/v1alpha1/whoami`, { headers: { authorization: `Bearer ${ready.adminToken}` } })).status).toBe(200);
  const metrics = await (await fetch(ready.metricsUrl)).text();
  expect(metrics).toContain('quarterdeck_process_up{process="worker"} 1');
  for (const name of ['gateway', 'control', 'host', 'worker'])
    expect(metrics).toMatch(new RegExp(`process_resident_memory_bytes\\{process="${name}"\\} \\d`));
  expect(text.stdout).toContain(ready.mcpUrl);

  child.kill('SIGINT');
  expect((await ended).code).toBe(0);
  expect(place.stillRunning()).toEqual([]);
  expect(readReadyFile(place.readyFile)).toBeUndefined();
  expect(readdirSync(join(place.data, 'state'))).toEqual([]);
});

test('shows no secret to other processes, on the terminal or in a log', async () => {
  const { child, ended, text, ready } = await place.start(['--profile', 'dev'], { PROVIDER_API_KEY: 'sk-provider' });
  const keys = readdirSync(join(place.data, 'keys')).map((name) => readFileSync(join(place.data, 'keys', name), 'utf8').trim());
  const internal = keys.flatMap((text) => (text.startsWith('{') ? Object.values(JSON.parse(text) as Record<string, string>) : [text]));
  const secrets = [...internal, ready.adminToken ?? '', ready.reviewerToken ?? '', 'sk-provider'];
  const processes = place.status().processes.filter(({ name }) => name !== 'supervisor');
  const seen = processes.flatMap(({ pid }) => [readFileSync(`/proc/${pid}/cmdline`, 'utf8'), readFileSync(`/proc/${pid}/environ`, 'utf8')]);
  child.kill('SIGTERM');
  await ended;
  const logs = names.slice(1).map((name) => place.log(name));
  for (const secret of secrets)
    for (const shown of [...seen, ...logs, text.stdout, text.stderr]) expect(shown.includes(secret), 'a secret is shown').toBe(false);
});

test('refuses a second start on the same data, and one on the same ports, in one line each', async () => {
  const { child } = await place.start();
  const second = await place.up().ended;
  expect(second).toMatchObject({ code: 1, stdout: '' });
  expect(second.stderr).toBe(
    `Error: A platform already runs on ${place.data} (pid ${child.pid}): use it, stop it with \`quarterdeck down\`, or choose another folder with \`--data DIR\`.\n`,
  );
  const elsewhere = await runCli(['up', '--data', join(place.folder, 'other'), '--port', String(place.port)]);
  expect(elsewhere.code).toBe(1);
  expect(elsewhere.stderr).toMatch(
    new RegExp(`^Error: Port ${place.port} \\(gateway\\) is taken by node \\(pid ${place.pidOf('gateway')}\\).*\\n$`),
  );
  const { code } = await runCli(['down', '--data', place.data]);
  expect([code, place.stillRunning()]).toEqual([0, []]);
});

test('starts each process again that is killed, and what was declared is still there', async () => {
  const { ready, text } = await place.start();
  await askApi(ready, '/apply', { body: { documents: [project('kept', 'by Postgres')] } });
  for (const name of names.slice(1)) {
    const killed = place.pidOf(name);
    process.kill(killed, 'SIGKILL');
    await pollUntil(
      () => place.status().processes.some((one) => one.name === name && one.state === 'running' && one.pid !== killed) || undefined,
      `another ${name}`,
      30_000,
    );
    expect(text.stderr).toContain(`${name} was ended by SIGKILL; it is started again in 0.2 s`);
  }
  await pollUntil(async () => (await askApi(ready, '/whoami').catch(() => undefined))?.status === 200 || undefined, 'the api');
  const { body } = await askApi(ready, '/apply', { body: { documents: [project('kept', 'by Postgres')] } });
  expect(body.results).toMatchObject([{ name: 'kept', action: 'unchanged' }]);
});

test('starts again on data whose supervisor was killed with all its processes', async () => {
  const first = await place.start();
  await askApi(first.ready, '/apply', { body: { documents: [project('kept', 'by Postgres')] } });
  const pids = place.status().processes.map(({ pid }) => pid ?? 0);
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await first.ended;
  const second = await place.start();
  const { body } = await askApi(second.ready, '/apply', { body: { documents: [project('kept', 'by Postgres')] } });
  expect(body.results).toMatchObject([{ action: 'unchanged' }]);
  // clients that were connected before go on working
  expect(second.ready.adminToken).toBe(first.ready.adminToken);
  expect((await askApi(second.ready, '/whoami', { token: first.ready.adminToken })).status).toBe(200);
});

test('leaves nothing running when the supervisor alone is killed, and starts again at once', async () => {
  const first = await place.start();
  first.child.kill('SIGKILL');
  await first.ended;
  const second = await place.start();
  expect(second.ready.pid).toBe(second.child.pid);
  second.child.kill('SIGKILL');
  await second.ended;
  await pollUntil(() => place.stillRunning().length === 0 || undefined, 'the end of all processes', 8000);
});

test('stops what was started when it is interrupted on its way up', async () => {
  const { child, ended } = place.up();
  await pollUntil(() => place.pidOf('temporal') || undefined, 'Temporal', 20_000);
  child.kill('SIGINT');
  expect((await ended).code).toBe(130);
  expect(place.stillRunning()).toEqual([]);
  const { ready } = await place.start(); // what was half made does not stand in the way
  expect((await askApi(ready, '/whoami')).status).toBe(200);
});

test('stops what was started when a part does not start, and says which and why', async () => {
  const { child, ended } = await place.start();
  child.kill('SIGTERM');
  await ended;
  writeFileSync(join(place.data, 'postgres', 'PG_VERSION'), '9.6\n');
  const failed = await place.up().ended;
  expect(failed).toMatchObject({ code: 1, stdout: '' });
  expect(failed.stderr).toMatch(/^Error: postgres does not start: .*incompatible.*\n$/);
  await checkPorts(portsFrom(place.port), Object.keys(portOffsets) as Listener[]);
  expect(readdirSync(join(place.data, 'state'))).toEqual([]);
});

test('uses a Postgres elsewhere when DATABASE_URL names one, and names it without its password when it cannot', async () => {
  const { url, close } = await startTestDatabase();
  const { ready, child, ended } = await place.start([], { DATABASE_URL: url });
  expect((await askApi(ready, '/whoami')).status).toBe(200);
  expect(place.status().processes.map(({ name }) => name)).not.toContain('postgres');
  child.kill('SIGTERM');
  await ended;
  await close();
  const gone = await place.up([], { DATABASE_URL: url }).ended;
  expect(gone.code).toBe(1);
  expect(gone.stderr).toMatch(/^Error: DATABASE_URL: the database test_\w+ at 127\.0\.0\.1:\d+ cannot be used: .*does not exist\.\n$/);
  expect(gone.stderr).not.toContain(new URL(url).password);
});

test('takes the database and the keys that wrap others from where references lead, and copies them nowhere', async () => {
  const { url, close } = await startTestDatabase();
  const write = (name: string, text: string): string => {
    writeFileSync(join(place.folder, name), `${text}\n`, { mode: 0o600 });
    return join(place.folder, name);
  };
  const keys = ['content', 'gateway', 'issuer'].map((name, index) => write(`${name}-key`, Buffer.alloc(32, 60 + index).toString('base64')));
  const environment = {
    DATABASE_URL: `file:${write('database-url', url)}`,
    QUARTERDECK_CONTENT_KEY: `file:${keys[0]}`,
    QUARTERDECK_GATEWAY_KEY: 'env:KEY_OF_THE_GATEWAY',
    KEY_OF_THE_GATEWAY: readFileSync(keys[1] as string, 'utf8'),
    QUARTERDECK_ISSUER_KEY: `file:${keys[2]}`,
  };
  const { ready, child, ended, text } = await place.start(['--profile', 'dev'], environment);
  expect(ready.databaseUrl).toBe(url.replace(/:[^:@/]+@/, '@'));
  expect(readdirSync(join(place.data, 'keys')).sort()).toEqual(['audit.json', 'egress-authority.json', 'internal.json']);
  const listed = await runCli(['keys', 'ls', '--installation', '--data', place.data]);
  expect(listed.stdout).toMatch(/content\.key\/original +wraps +\d+ +people\/original, grants\/original/);
  expect(listed.stdout).toMatch(/issuer\.key\/original +wraps +2/);
  expect((await runCli(['keys', 'rotate', 'content.key', '--data', place.data], { env: environment })).stderr).toContain(
    'QUARTERDECK_CONTENT_KEY',
  );
  const kept = await runCli(['project', 'retention', '--audit-days', '30', '--data', place.data]);
  expect(kept.stdout).toMatch(/rows of the audit +30d +\d+ +\S+ +0 +0/);
  child.kill('SIGTERM');
  await ended;
  const logs = readdirSync(join(place.data, 'logs'), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => readFileSync(join(each.parentPath, each.name), 'utf8'))
    .join('');
  const { password } = new URL(url);
  for (const secret of [password, ...keys.map((key) => readFileSync(key, 'utf8').trim())])
    for (const place of [logs, text.stdout, text.stderr, JSON.stringify(ready)]) expect(place.includes(secret)).toBe(false);

  // where a key is another one than before, that is said, and nothing is started
  writeFileSync(keys[0] as string, 'not-a-key');
  const damaged = await place.up(['--profile', 'dev'], environment).ended;
  expect(damaged.code).toBe(1);
  expect(damaged.stderr).toMatch(/QUARTERDECK_CONTENT_KEY leads to file:\S+: what is there is not 32 bytes in base64/);
  expect(damaged.stderr).not.toContain('not-a-key');
  await close();
});

test('applies a folder of resources, follows its changes, and keeps the last good ones', async () => {
  const folder = join(place.folder, 'resources');
  mkdirSync(folder);
  const write = (text: string) => writeFileSync(join(folder, 'project.yaml'), text);
  const yaml = (description: string) => JSON.stringify(project('watched', description));
  write(yaml('first'));
  const { ready, text } = await place.start(['--resources', folder]);
  const action = async (description: string) =>
    (await askApi(ready, '/diff', { body: { documents: [project('watched', description)] } })).body.results?.[0]?.action;
  expect(await action('first')).toBe('unchanged');
  write('kind: Projekt\n');
  await pollUntil(() => text.stderr.includes('Nothing was applied') || undefined, 'the error');
  expect(text.stderr).toMatch(/project\.yaml:1:\d+: kind/);
  expect(await action('first')).toBe('unchanged');
  write(yaml('second'));
  await pollUntil(async () => (await action('second')) === 'unchanged' || undefined, 'the change');
});

test('gives out no token in production', async () => {
  const dev = await place.start(['--profile', 'dev']);
  dev.child.kill('SIGTERM');
  await dev.ended;
  const { ready } = await place.start(['--profile', 'production']);
  expect(ready).not.toHaveProperty('adminToken');
  expect((await askApi(ready, '/whoami', { token: dev.ready.adminToken })).status).toBe(401);
});
