import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeAuthority } from '../../../runtime/egress/make-certificate.ts';
import { placeholderOf } from '../../../runtime/egress/reachable-server.ts';
import { identity, reaching, startTestEgress, startWorld, type World } from '../../runtime/support/egress-harness.ts';
import { type HostHarness, startTestHost, tinyLaunch, until } from '../../runtime/support/host-harness.ts';

const id = 'default/default/reacher';
const name = 'api.example.test';
const realValue = 'real-value-of-the-secret-4711';
let world: World;
let host: HostHarness;
let egress: Awaited<ReturnType<typeof startTestEgress>>;
let directory: string;

/** Kept over restarts, as cages trust it. */
const authority = makeAuthority(new Date());
const secrets = { TOKEN: { hosts: [name] }, UNUSED: { hosts: ['other.example.test'] } };
const rules = () => [
  { host: name, port: world.securePort, private: true },
  { host: name, port: world.plainPort, private: true },
  { host: 'blind.example.test', port: world.securePort, private: true },
  { host: 'other.example.test' },
];
const startEgress = async () => {
  egress = await startTestEgress({ world, authority, folder: directory, readSecret: async () => realValue });
  await egress.update([reaching(rules(), secrets)]);
};

beforeAll(async () => {
  world = await startWorld((request, response) => {
    if (request.url === '/redirect') return void response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
    const [, status, to] = /^\/redirect\/(\d+)\/(.+)$/.exec(request.url ?? '') ?? [];
    if (status && to) return void response.writeHead(Number(status), { location: decodeURIComponent(to) }).end();
    response.end(`echo ${JSON.stringify(request.headers)}`);
  });
  directory = await mkdtemp(join(tmpdir(), 'qd-ways-'));
  host = await startTestHost({ isCaged: true, config: { egressDirectory: directory } });
  await startEgress();
  await host.ensure(tinyLaunch(id, { egress: { secrets: ['TOKEN', 'UNUSED'] } }));
});
afterAll(async () => {
  await host.close();
  await egress.close();
  world.close();
  await rm(directory, { recursive: true, force: true });
});

const run = (script: string): Promise<string> => host.toolText(id, 'evaluate', { script });
/** What became of a request by the server's own `fetch`. */
const ask = (url: string, options: object = {}): Promise<string> =>
  run(
    `fetch(${JSON.stringify(url)}, ${JSON.stringify(options)}).then(async (r) => r.status + ' ' + (await r.text()), (e) => 'failed ' + (e.cause?.message ?? e.message))`,
  );
const curl = (url: string): Promise<string> => run(`child.execFileSync('/usr/bin/curl', ['-sS', '${url}'], { encoding: 'utf8' })`);
const secureUrl = (path = '/') => `https://${name}:${world.securePort}${path}`;
const refusals = () =>
  egress.rows.filter(({ kind }) => kind === 'refused').map(({ attempt, reason }) => `${attempt.host}:${attempt.port} ${reason}`);

test('a caged server sends its secret by the placeholder it has: the value is on the wire, and nowhere in the cage', async () => {
  const placeholder = placeholderOf(identity, 'TOKEN');
  expect(await run('process.env.TOKEN')).toBe(placeholder);
  const answer = await run(
    `fetch('${secureUrl('/me')}', { headers: { authorization: 'Bearer ' + process.env.TOKEN } }).then(async (r) => r.status + ' ' + (await r.text()))`,
  );
  expect(answer).toMatch(/^200 echo/);
  expect(world.heard.at(-1)).toMatchObject({ url: '/me', headers: { authorization: `Bearer ${realValue}` } });
  expect(answer).not.toContain(realValue);

  // what every process of the cage was given, and all that its memory holds
  const listing = (await (await host.request('GET', '/instances')).json()) as { instances: { pid: number }[] };
  const cage = listing.instances[0]?.pid ?? 0;
  const below = async (pid: number): Promise<number[]> => {
    const tasks = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const children = tasks.split(' ').filter(Boolean).map(Number);
    return [pid, ...(await Promise.all(children.map(below))).flat()];
  };
  const pids = await below(cage);
  expect(pids.length).toBeGreaterThanOrEqual(3);
  let placeholders = 0;
  for (const pid of pids) {
    expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain(realValue);
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(realValue);
    for (const region of (await readFile(`/proc/${pid}/maps`, 'utf8')).split('\n')) {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(region) ?? [];
      if (from === '' || /\[v/.test(region)) continue;
      const bytes = await readMemory(pid, Number.parseInt(from, 16), Number.parseInt(to, 16));
      expect(bytes.includes(realValue), `${pid} ${region}`).toBe(false);
      if (bytes.includes(placeholder)) placeholders += 1;
    }
  }
  // so the look was a real one
  expect(placeholders).toBeGreaterThan(0);
});

const readMemory = async (pid: number, from: number, to: number): Promise<Buffer> => {
  const { open } = await import('node:fs/promises');
  const file = await open(`/proc/${pid}/mem`, 'r');
  try {
    const bytes = Buffer.alloc(Math.min(to - from, 256 * 1024 * 1024));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from).catch(() => ({ bytesRead: 0 }));
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
};

test('an allowed host without a secret is reached through a tunnel nobody opens, and curl finds the way too', async () => {
  expect(await ask(`http://${name}:${world.plainPort}/plain`)).toMatch(/^200 echo/);
  expect(await ask(secureUrl('/node'))).toMatch(/^200 echo/);
  expect(await curl(secureUrl('/curl'))).toContain('echo');
  expect(world.heard.slice(-3).map(({ url }) => url)).toEqual(['/plain', '/node', '/curl']);
  await run(`child.spawnSync('/usr/bin/curl', ['-sSk', 'https://blind.example.test:${world.securePort}/blind'])`);
  expect(world.heard.at(-1)?.url).toBe('/blind');
  await until(
    () => egress.rows.some(({ kind, attempt }) => kind === 'closed' && attempt.host === 'blind.example.test'),
    'the end on record',
  );
  expect(egress.rows.findLast(({ attempt }) => attempt.host === 'blind.example.test')).toMatchObject({ attempt: { kind: 'tunnel' } });
});

test('another host, another port, raw TCP, the machine it runs on, names and the metadata address all fail', async () => {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '0.0.0.0', resolve));
  let reached = 0;
  listener.on('connection', () => {
    reached += 1;
  });
  const { port } = listener.address() as AddressInfo;
  const outside = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal);
  const before = world.connections();
  try {
    const raw = (address: string, to: number): Promise<string> =>
      run(
        `new Promise((resolve) => { const s = process.getBuiltinModule('net').connect({ host: '${address}', port: ${to}, timeout: 2000 }); s.on('connect', () => resolve('connected')).on('error', (e) => resolve(e.code)).on('timeout', () => resolve('timeout')); })`,
      );
    for (const [address, to] of [
      ['127.0.0.1', port],
      ['127.0.0.1', world.securePort],
      ['::1', port],
      ['169.254.169.254', 80],
      ['8.8.8.8', 53],
      ...outside.map(({ address }) => [address, port]),
    ] as [string, number][])
      expect(await raw(address, to), address).toMatch(/^E(CONNREFUSED|NETUNREACH|ADDRNOTAVAIL|HOSTUNREACH)$/);
    expect(
      await run(`new Promise((resolve) => process.getBuiltinModule('dns').lookup('${name}', (e) => resolve(e?.code ?? 'resolved')))`),
    ).toMatch(/^E/);
    expect(
      await run(
        `new Promise((resolve) => { const s = process.getBuiltinModule('dgram').createSocket('udp4'); s.send('x', 53, '8.8.8.8', (e) => resolve(e?.code ?? 'sent')); })`,
      ),
    ).toMatch(/^E/);

    for (const url of [
      `https://evil.example.test:${world.securePort}/`,
      `https://${name}:8443/`,
      `http://127.0.0.1.example.test:${port}/`,
      `http://169.254.169.254/latest/meta-data/`,
      `http://${outside[0]?.address ?? '10.0.0.1'}:${port}/`,
    ])
      expect(await ask(url), url).toMatch(/^(403|failed)/);
    expect(refusals()).toContain('169.254.169.254:80 not-allowed');
    expect(refusals()).toContain(`${name}:8443 not-allowed`);
    // straight at the proxy, past every client library
    const straight = await run(
      `new Promise((resolve) => { const s = process.getBuiltinModule('net').connect('/opt/egress/proxy.sock'); s.write('CONNECT 127.0.0.1:${port} HTTP/1.1\\r\\n\\r\\n'); s.on('data', (d) => resolve(String(d))); })`,
    );
    expect(straight).toMatch(/^HTTP\/1\.1 403/);
    expect(reached).toBe(0);
    expect(world.connections()).toBe(before);
  } finally {
    listener.close();
  }
});

test('a redirect from an allowed host to the metadata address is stopped at its second hop', async () => {
  const count = refusals().filter((text) => text.startsWith('169.254.169.254')).length;
  expect(await ask(secureUrl('/redirect'))).toMatch(/^(403|failed)/);
  expect(refusals().filter((text) => text.startsWith('169.254.169.254')).length).toBe(count + 1);
});

test('however an inner address is written, and however the hop is made, it ends at the second hop and is on record', async () => {
  const inner = [
    'http://2852039166/latest/meta-data/',
    'http://0xa9fea9fe/latest/meta-data/',
    'http://[::ffff:169.254.169.254]/latest/meta-data/',
    'https://169.254.169.254/latest/meta-data/',
    'http://metadata.google.internal/computeMetadata/v1/',
    `http://127.0.0.1:${world.plainPort}/inner`,
    `http://localhost:${world.plainPort}/inner`,
    `http://${name}:8444/`,
    `http://user:word@169.254.169.254/`,
    `//169.254.169.254/`,
  ];
  const heard = world.heard.length;
  let hops = 0;
  for (const to of inner)
    for (const status of [302, 307]) {
      const before = egress.rows.filter(({ kind }) => kind === 'refused').length;
      const url = secureUrl(`/redirect/${status}/${encodeURIComponent(to)}`);
      expect(await ask(url, status === 307 ? { method: 'POST', body: 'x' } : {}), `${status} ${to}`).toMatch(/^(403|failed)/);
      hops += 1;
      // this machine is the cage itself, where nobody listens, and a client may refuse an address by itself; whoever asks is refused
      const refused = egress.rows.filter(({ kind }) => kind === 'refused').slice(before);
      for (const { reason } of refused) expect(reason, to).toBe('not-allowed');
      if (!/user:|127\.|localhost/.test(to)) expect(refused.length, to).toBe(1);
    }
  // the first hop of each, and nothing else
  expect(world.heard.slice(heard).map(({ url }) => url?.startsWith('/redirect/'))).toEqual(Array.from({ length: hops }, () => true));
  const before = refusals().length;
  await run(`child.spawnSync('/usr/bin/curl', ['-sSL', '${secureUrl(`/redirect/302/${encodeURIComponent('http://169.254.169.254/')}`)}'])`);
  expect(refusals().slice(before)).toEqual(['169.254.169.254:80 not-allowed']);
});

test('a placeholder that is sent where it may not go is refused and on record, and the host hears nothing', async () => {
  const heard = world.heard.length;
  const unused = placeholderOf(identity, 'UNUSED');
  expect(await ask(secureUrl('/'), { headers: { authorization: `Bearer ${unused}` } })).toMatch(/^403 .*secret-elsewhere/);
  expect(await ask(secureUrl('/'), { method: 'POST', body: placeholderOf(identity, 'TOKEN') })).toMatch(/^(403|failed)/);
  expect(await ask(`http://${name}:${world.plainPort}/`, { headers: { authorization: placeholderOf(identity, 'TOKEN') } })).toMatch(
    /^403 .*secret-in-clear/,
  );
  expect(world.heard.length).toBe(heard);
  for (const reason of ['secret-elsewhere', 'secret-misplaced', 'secret-in-clear'])
    expect(egress.rows).toContainEqual(expect.objectContaining({ kind: 'refused', reason }));
});

test('while the egress process is away calls fail in so many words; when it is back they work, and the server never ended', async () => {
  const pid = await run('process.pid + " " + process.uptime()');
  await egress.close();
  expect(await curl(`http://${name}:${world.plainPort}/away`)).toMatch(/the process that carries connections does not answer/);
  expect(await ask(secureUrl('/away'))).toMatch(/^failed/);
  expect(await run('1 + 1')).toBe('2');
  await startEgress();
  expect(await ask(secureUrl('/back'))).toMatch(/^200 echo/);
  expect((await run('process.pid + " " + process.uptime()')).split(' ')[0]).toBe(pid.split(' ')[0]);
});

test('a server without `egress` has no proxy, no socket and no network', async () => {
  await host.ensure(tinyLaunch('default/default/still'));
  const still = (script: string) => host.toolText('default/default/still', 'evaluate', { script });
  expect(await still('JSON.stringify([process.env.HTTPS_PROXY, fs.existsSync("/opt/egress")])')).toBe('[null,false]');
  expect(
    await still(
      `new Promise((resolve) => process.getBuiltinModule('net').connect(3128, '127.0.0.1').on('connect', () => resolve('connected')).on('error', (e) => resolve(e.code)))`,
    ),
  ).toBe('ECONNREFUSED');
});

test('a server cannot write to the folder of its way out, nor see that of another', async () => {
  expect(await run(`fs.readdirSync('/opt/egress').join()`)).toBe('authority.pem,bundle.pem,proxy.sock');
  expect(await run(`(() => { try { fs.unlinkSync('/opt/egress/proxy.sock'); return 'gone'; } catch (e) { return e.code; } })()`)).toMatch(
    /EROFS|EACCES/,
  );
  expect((await readdir(directory)).length).toBe(1);
});
