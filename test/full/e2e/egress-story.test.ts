import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startOf } from '../../../cli/up/process-identity.ts';
import type { ReadyFile } from '../../../cli/up/ready-file.ts';
import { placeholderOf } from '../../../runtime/egress/reachable-server.ts';
import { startWorld, type World } from '../../runtime/support/egress-harness.ts';
import { supportFolder } from '../../runtime/support/host-harness.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { runCli } from '../../support/run-cli.ts';
import { askApi, createPlatformPlace, type PlatformPlace } from '../../support/running-platform.ts';

/** Of this machine, and no name or address that clients leave proxies out for. */
const address = '127.0.0.2';
const realValue = 'real-value-in-the-environment-of-up';
let place: PlatformPlace;
let world: World;
let ready: ReadyFile;
let stop: () => Promise<unknown>;

const qd = (...args: string[]) =>
  runCli(args, { env: { QUARTERDECK_URL: ready.url, QUARTERDECK_TOKEN: ready.adminToken ?? '', HOME: place.folder } });
/** Runs a script in the caged server, by the whole way from the command line. */
const run = async (script: string): Promise<string> => {
  const { stdout, stderr } = await qd('mcp', 'call', 'evaluate', '--toolset', 'reach', `script=${script}`);
  return stdout || stderr;
};
const ask = (headers: string, path = '/me'): Promise<string> =>
  run(
    `fetch('https://${address}:${world.securePort}${path}', { headers: ${headers} }).then(async (r) => r.status + ' ' + (await r.text()), (e) => 'failed ' + e.cause?.message)`,
  );
const connections = async () =>
  // biome-ignore lint/suspicious/noExplicitAny: rows are looked at field by field
  ((await askApi(ready, '/default/default/audit?action=connect&limit=1000')).body.events as any[]).map(
    ({ kind, outcome, errorCode, server, facts }) => ({
      kind,
      outcome,
      errorCode,
      server,
      facts,
    }),
  );

beforeAll(async () => {
  world = await startWorld(
    (request, response) => {
      if (request.url !== '/slow') response.end('hello');
    },
    { name: address, address },
  );
  place = await createPlatformPlace();
  const authority = join(place.folder, 'world.pem');
  writeFileSync(authority, world.authority.certificate);
  const started = await place.start(['--profile', 'dev'], { UPSTREAM_TOKEN: realValue, NODE_EXTRA_CA_CERTS: authority });
  ready = started.ready;
  stop = () => {
    started.child.kill('SIGTERM');
    return started.ended;
  };
  const file = join(place.folder, 'reach.json');
  const base = { apiVersion: 'quarterdeck.dev/v1alpha1' };
  const server = {
    ...{ ...base, kind: 'McpServer', metadata: { name: 'reach' } },
    spec: {
      command: ['node', '/server/tiny-server.ts'],
      mounts: [{ source: supportFolder, at: '/server' }],
      egress: [world.securePort, place.port + 5].map((port) => ({ host: address, port, private: true })),
      secrets: { TOKEN: { from: { env: 'UPSTREAM_TOKEN' }, hosts: [address] } },
    },
  };
  const toolset = { ...base, kind: 'Toolset', metadata: { name: 'reach' }, spec: { servers: [{ name: 'reach' }], naming: 'plain' } };
  writeFileSync(file, [server, toolset].map((document) => JSON.stringify(document)).join('\n---\n'));
  expect(await qd('apply', '-f', file)).toMatchObject({ code: 0 });
  await pollUntil(async () => ((await run('1 + 1')).includes('2') ? true : undefined), 'the caged server', 30_000);
});
afterAll(async () => {
  await stop();
  place.close();
  world.close();
});

test('the command line calls a tool of a caged server, whose request leaves with the secret that only the egress process had', async () => {
  expect(await run('process.env.TOKEN')).toContain(placeholderOf({ org: 'default', project: 'default', server: 'reach' }, 'TOKEN'));
  expect(await ask(`{ authorization: 'Bearer ' + process.env.TOKEN }`)).toContain('200 hello');
  expect(world.heard.at(-1)?.headers.authorization).toBe(`Bearer ${realValue}`);
  const rows = await pollUntil(async () => {
    const found = await connections();
    return found.length >= 1 ? found : undefined;
  }, 'the intent');
  expect(rows).toContainEqual({
    kind: 'intent',
    outcome: 'pending',
    errorCode: null,
    server: 'reach',
    facts: { host: address, port: world.securePort, kind: 'opened' },
  });
  const logs = ['egress', 'host', 'gateway', 'control'].map((name) => place.log(name)).join('\n');
  expect(logs + JSON.stringify(rows)).not.toContain(realValue);
});

test('the process has a user id of its own where the machine has one to give, no right of root, and none of the other secrets', async () => {
  const pid = place.pidOf('egress');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [uid] = /^Uid:\s+(\d+)/m.exec(status)?.slice(1) ?? [];
  if (process.getuid?.() === 0) {
    expect(Number(uid)).toBeGreaterThan(1000);
    expect(Number(uid)).not.toBe(statSync(join(place.data, 'postgres')).uid);
    expect(status).toMatch(/^CapEff:\s0+$/m);
    expect(place.log('egress')).toContain('"isOwn":true');
  } else expect(place.log('egress')).toContain('"isOwn":false');
  expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain(realValue);
  expect(statSync(join(place.data, 'keys', 'egress-authority.json')).mode & 0o777).toBe(0o600);
});

test('a placeholder for another host, a host that is not allowed and a port of the platform are refused, and the audit says so', async () => {
  const heard = world.heard.length;
  expect(await ask(`{ 'x-note': process.env.TOKEN }`)).toContain('secret-misplaced');
  await run(`fetch('https://evil.example.test/').catch((e) => e.message)`);
  await run(`child.spawnSync('/usr/bin/curl', ['-s', 'http://${address}:${place.port + 5}/'])`);
  expect(world.heard.length).toBe(heard);
  const reasons = await pollUntil(async () => {
    const found = (await connections())
      .filter(({ kind }) => kind === 'refusal')
      .map(({ errorCode, facts }) => `${facts.host} ${errorCode}`);
    return found.length >= 3 ? found : undefined;
  }, 'the refusals');
  expect(reasons).toEqual(expect.arrayContaining([`${address} secret-misplaced`, 'evil.example.test not-allowed', `${address} own-port`]));
});

test('killed in the middle of a request it fails that call in so many words, is started again, and the same cage goes on', async () => {
  const cage = await run('process.pid + "-" + process.hrtime.bigint() * 0n');
  const pid = place.pidOf('egress');
  const cut = ask(`{ authorization: 'Bearer ' + process.env.TOKEN }`, '/slow');
  await pollUntil(() => world.heard.at(-1)?.url === '/slow' || undefined, 'the request at the host', 20_000);
  process.kill(pid, 'SIGKILL');
  const answer = await cut;
  expect(answer).toContain('failed');
  expect(answer).not.toContain(realValue);
  await pollUntil(() => (place.pidOf('egress') !== pid && startOf(place.pidOf('egress')) ? true : undefined), 'the next process', 20_000);
  await pollUntil(
    async () => ((await ask(`{ authorization: 'Bearer ' + process.env.TOKEN }`)).includes('200 hello') ? true : undefined),
    'the way out',
    20_000,
  );
  expect(world.heard.at(-1)?.headers.authorization).toBe(`Bearer ${realValue}`);
  expect(await run('process.pid + "-" + process.hrtime.bigint() * 0n')).toBe(cage);
  expect(place.status().processes.find(({ name }) => name === 'egress')).toMatchObject({ state: 'running', restarts: 1 });
});
