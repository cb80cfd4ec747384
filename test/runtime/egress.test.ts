import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { placeholderOf } from '../../runtime/egress/reachable-server.ts';
import {
  askOver,
  connectThrough,
  type EgressHarnessOptions,
  identity,
  reaching,
  secureOver,
  startTestEgress,
  startWorld,
  type World,
} from './support/egress-harness.ts';
import { startTestHost, tinyLaunch, until } from './support/host-harness.ts';

const host = 'api.example.test';
let world: World;
let egress: Awaited<ReturnType<typeof startTestEgress>>;

beforeAll(async () => {
  world = await startWorld((request, response) => {
    if (request.url === '/redirect') return void response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
    if (request.url === '/encoded') return void response.writeHead(200, { 'content-encoding': 'gzip' }).end('xx');
    if (request.url === '/big') return void response.end(Buffer.alloc(3_000_000));
    response.setHeader('x-echo', String(request.headers.authorization ?? ''));
    response.end(`you sent ${JSON.stringify(request.headers)}`);
  });
});
afterAll(() => world.close());
afterEach(() => egress.close());

const start = async (options: Partial<EgressHarnessOptions> = {}) => {
  egress = await startTestEgress({ world, ...options });
  return egress;
};
const rule = (changes: object = {}) => ({ host, port: world.securePort, private: true, ...changes });
const placeholder = placeholderOf(identity, 'TOKEN');
const secrets = { TOKEN: { hosts: [host] } };
const authorityText = () => `${host}:${world.securePort}`;
const lastRow = () => egress.rows.at(-1);
const untilClosed = () => until(() => lastRow()?.kind === 'closed', 'the end on record');

describe('where a server may connect to', () => {
  test('an allowed host answers through a tunnel nobody looks into, and the connection is on record with its bytes', async () => {
    await start();
    await egress.update([reaching([rule()])]);
    const { status, socket } = await connectThrough(egress.socketOf(), authorityText());
    expect(status).toBe(200);
    // the certificate is the host's own
    const secure = await secureOver(socket, { servername: host, ca: world.authority.certificate });
    expect((await askOver(secure, { headers: { host } })).text).toContain('you sent');
    secure.destroy();
    await untilClosed();
    expect(egress.rows.map(({ kind }) => kind)).toEqual(['opening', 'closed']);
    expect(lastRow()).toMatchObject({
      attempt: { kind: 'tunnel', host, port: world.securePort, server: identity },
      outcome: { address: '127.0.0.1', requests: 1, secrets: [] },
    });
    expect(lastRow()?.outcome?.sentBytes).toBeGreaterThan(300);
    expect(lastRow()?.outcome?.receivedBytes).toBeGreaterThan(500);
  });

  test('every other host, port and spelling is refused, on record, and nothing is connected to', async () => {
    await start();
    await egress.update([reaching([rule(), { host: 'other.example.test', port: 443 }])]);
    const before = world.connections();
    const { securePort: port } = world;
    const places = [
      `127.0.0.1:${port}`, `localhost:${port}`, `2130706433:${port}`, `0x7f000001:${port}`, `0177.0.0.1:${port}`, `127.1:${port}`,
      `[::1]:${port}`, `[::ffff:127.0.0.1]:${port}`, `[64:ff9b::7f00:1]:${port}`, `0:${port}`, `[::]:${port}`, `169.254.169.254:80`,
      `${host}.:${port}`, `.${host}:${port}`, `x.${host}:${port}`, `${host}:22`, `${host}:0${port}`, `${host}:${port + 65_536}`, host,
      `${host}:`, `:${port}`, `user@${host}:${port}`, `${host}:${port}/x`, `${host}:${port}#x`, `${host}%00:${port}`, `http://${host}:${port}`,
      `${host}:${port}:${port}`, `[${host}]:${port}`, `ａpi.example.test:${port}`, `api%2eexample.test:${port}`, `other.example.test:80`,
    ]; // biome-ignore format: one look at the list
    for (const place of places) expect((await connectThrough(egress.socketOf(), place)).status, place).toBeGreaterThanOrEqual(400);
    expect(world.connections()).toBe(before);
    expect(new Set(egress.rows.map(({ kind }) => kind))).toEqual(new Set(['refused']));
    expect(egress.rows.map(({ reason }) => reason)).toContain('not-allowed');
    const refused = await connectThrough(egress.socketOf(), `${host}:22`);
    expect(refused.text).toContain('HTTP/1.1 403');
    expect(refused.text).toContain('is not in `egress` of this server (not-allowed)');
  });

  test('a name in upper case is the same host', async () => {
    await start();
    await egress.update([reaching([rule()])]);
    expect((await connectThrough(egress.socketOf(), authorityText().toUpperCase())).status).toBe(200);
  });

  test.each([
    ['an inner address', ['10.0.0.7'], {}],
    ['this machine', ['127.0.0.1'], {}],
    ['an inner one among public ones', ['8.8.8.8', '127.0.0.1'], {}],
    ['a mapped address', ['::ffff:127.0.0.1'], {}],
    ['NAT64', ['64:ff9b::7f00:1'], {}],
    ['the metadata service, though inner ones are allowed', ['169.254.169.254'], { private: true }],
    ['that of IPv6, though inner ones are allowed', ['fd00:ec2::254'], { private: true }],
    ['a mapped address, though inner ones are allowed', ['::ffff:127.0.0.1'], { private: true }],
  ])('an allowed name that leads to %s is not connected to', async (_what, addresses, changes) => {
    await start({ lookUp: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })) });
    await egress.update([reaching([rule({ private: false, ...changes })])]);
    const before = world.connections();
    const { status, text } = await connectThrough(egress.socketOf(), authorityText());
    expect(status).toBe(403);
    expect(text).toContain('address-forbidden');
    expect(world.connections()).toBe(before);
    expect(egress.rows).toMatchObject([{ kind: 'refused', reason: 'address-forbidden' }]);
  });

  test('a name that is looked up well first and to 169.254.169.254 afterwards is connected to where it was checked, and then no more', async () => {
    let looked = 0;
    await start({
      lookUp: async () => {
        looked += 1;
        return [{ address: looked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }];
      },
    });
    await egress.update([reaching([rule()])]);
    const first = await connectThrough(egress.socketOf(), authorityText());
    expect(first.status).toBe(200);
    expect(looked).toBe(1);
    expect((await connectThrough(egress.socketOf(), authorityText())).text).toContain('address-forbidden');
    first.socket.destroy();
  });

  test('the ports of the platform itself are closed, whatever a rule says', async () => {
    await start({ closedPorts: new Set([world.plainPort]) });
    await egress.update([reaching([{ host: '127.0.0.1', port: world.plainPort, private: true }])]);
    expect((await connectThrough(egress.socketOf(), `127.0.0.1:${world.plainPort}`)).text).toContain('own-port');
  });

  test.each([
    ['names another host', { servername: 'admin.example.test' }, 'other-host'],
    ['names none', {}, 'other-host'],
  ])('a tunnel whose TLS %s is cut before the host hears of it', async (_what, options, reason) => {
    await start();
    await egress.update([reaching([rule()])]);
    const { socket } = await connectThrough(egress.socketOf(), authorityText());
    await expect(secureOver(socket, { ca: world.authority.certificate, ...options })).rejects.toThrow(/unrecognized name/i);
    await untilClosed();
    expect(lastRow()).toMatchObject({ reason, outcome: { sentBytes: 0 } });
  });

  test('a tunnel that carries anything but TLS is cut', async () => {
    await start();
    await egress.update([reaching([rule()])]);
    const { socket } = await connectThrough(egress.socketOf(), authorityText());
    socket.write('SSH-2.0-OpenSSH_9.6\r\n');
    await untilClosed();
    expect(lastRow()).toMatchObject({ reason: 'not-tls', outcome: { sentBytes: 0 } });
  });

  test('a connection ends at the bytes it may carry', async () => {
    await start();
    await egress.update([reaching([rule({ maximumMb: 1 })])]);
    const { socket } = await connectThrough(egress.socketOf(), authorityText());
    const secure = await secureOver(socket, { servername: host, ca: world.authority.certificate });
    await expect(askOver(secure, { path: '/big', headers: { host } })).rejects.toThrow();
    await untilClosed();
    expect(lastRow()).toMatchObject({ reason: 'too-many-bytes' });
    expect(lastRow()?.outcome?.receivedBytes).toBeLessThan(2_000_000);
  });

  test.each([
    ['that is opened for a secret', () => world.securePort],
    ['of plain HTTP', () => world.plainPort],
  ])('so does one %s', async (_what, port) => {
    await start();
    await egress.update([reaching([rule({ port: port(), maximumMb: 1 })], secrets)]);
    const place = `${host}:${port()}`;
    const isPlain = port() === world.plainPort;
    const socket = isPlain
      ? connect(egress.socketOf())
      : await secureOver((await connectThrough(egress.socketOf(), place)).socket, { servername: host, ca: egress.authority.certificate });
    await expect(askOver(socket, { path: isPlain ? `http://${place}/big` : '/big', headers: { host: place } })).rejects.toThrow();
    await untilClosed();
    expect(lastRow()).toMatchObject({ reason: 'too-many-bytes' });
    expect(lastRow()?.outcome?.receivedBytes).toBeLessThan(2_000_000);
  });

  test('nothing is connected to while nothing can be put on record', async () => {
    const recorder = { opening: () => Promise.reject(new Error('no database')), refused: () => undefined, closed: () => undefined };
    await start({ recorder });
    await egress.update([reaching([rule()])]);
    const before = world.connections();
    const { status, text } = await connectThrough(egress.socketOf(), authorityText());
    expect(status).toBe(503);
    expect(text).toContain('the audit cannot be written');
    expect(world.connections()).toBe(before);
  });

  test('a rule that is taken away cuts what it had allowed; a server that is taken away has no socket left', async () => {
    await start();
    await egress.update([reaching([rule()])]);
    const { socket } = await connectThrough(egress.socketOf(), authorityText());
    const secure = await secureOver(socket, { servername: host, ca: world.authority.certificate });
    const closed = new Promise((resolve) => secure.once('close', resolve));
    await egress.update([reaching([rule({ port: 1 })])]);
    await closed;
    await untilClosed();
    expect(lastRow()).toMatchObject({ reason: 'revoked' });
    expect((await connectThrough(egress.socketOf(), authorityText())).status).toBe(403);
    await egress.update([]);
    await expect(new Promise((_resolve, reject) => connect(egress.socketOf()).once('error', reject))).rejects.toThrow(/ENOENT/);
  });

  test('each server has its own: what one may reach, another may not', async () => {
    await start();
    const other = { ...identity, project: 'elsewhere' };
    await egress.update([reaching([rule()]), reaching([{ host: 'one.example.test' }], {}, other)]);
    expect((await connectThrough(egress.socketOf(), authorityText())).status).toBe(200);
    expect((await connectThrough(egress.socketOf(other), authorityText())).status).toBe(403);
    expect(lastRow()).toMatchObject({ attempt: { server: other } });
  });
});

describe('plain HTTP', () => {
  const url = (path = '/x?y=1') => `http://${host}:${world.plainPort}${path}`;
  const ask = (target: string, more: Parameters<typeof askOver>[1] = {}) => {
    const [, named = ''] = /^\w+:\/\/([^/]*)/.exec(target) ?? [];
    return askOver(connect(egress.socketOf()), { path: target, ...more, headers: { host: named, ...more.headers } });
  };

  test('goes to an allowed host and port, and a redirect comes back as it is', async () => {
    await start();
    await egress.update([reaching([rule({ port: world.plainPort })])]);
    const heard = world.heard.length;
    const answer = await ask(url(), {
      method: 'POST',
      body: 'hello',
      headers: { host: `${host}:${world.plainPort}`, 'proxy-authorization': 'x' },
    });
    expect(answer.status).toBe(200);
    expect(world.heard.at(-1)).toMatchObject({ url: '/x?y=1', host: `${host}:${world.plainPort}`, body: 'hello' });
    expect(world.heard.at(-1)?.headers).not.toHaveProperty('proxy-authorization');
    expect(await ask(url('/redirect'))).toMatchObject({ status: 302, headers: { location: 'http://169.254.169.254/latest/meta-data/' } });
    expect(world.heard.length).toBe(heard + 2);
    // the second hop is a request of its own, and that is refused
    expect(await ask('http://169.254.169.254/latest/meta-data/')).toMatchObject({
      status: 403,
      text: expect.stringContaining('not-allowed'),
    });
  });

  test.each([
    ['another host', () => `http://other.example.test:${world.plainPort}/`, 403],
    ['another port', () => `http://${host}/`, 403],
    ['a person in the address', () => `http://user@${host}:${world.plainPort}/`, 400],
    ['no host', () => '/', 400],
    ['another scheme', () => `https://${host}:${world.plainPort}/`, 400],
  ])('is refused to %s', async (_what, target, status) => {
    await start();
    await egress.update([reaching([rule({ port: world.plainPort })])]);
    const before = world.connections();
    expect((await ask(target())).status).toBe(status);
    expect(world.connections()).toBe(before);
  });

  test.each([
    ['a header', { headers: { authorization: `Bearer ${placeholder}` } }],
    ['Basic credentials', { headers: { authorization: `Basic ${Buffer.from(`u:${placeholder}`).toString('base64')}` } }],
    ['a body', { method: 'POST', body: `token=${placeholder}` }],
    ['an address', { path: `/?t=${placeholder}` }],
  ])('carries no secret and no placeholder: %s', async (_what, more) => {
    await start();
    await egress.update([reaching([rule({ port: world.plainPort })], secrets)]);
    const heard = world.heard.length;
    const { path, ...rest }: Parameters<typeof askOver>[1] = more;
    const answer = await ask(url(path), rest).catch(() => ({ status: 403 }));
    expect(answer.status).toBe(403);
    await until(() => egress.rows.some(({ reason }) => reason === 'secret-in-clear'), 'the refusal on record');
    expect(world.heard.length).toBe(heard);
  });
});

describe('plain HTTP in a tunnel, as some clients send it', () => {
  const place = () => `${host}:${world.plainPort}`;
  const ask = async (more: Parameters<typeof askOver>[1]) =>
    askOver((await connectThrough(egress.socketOf(), place())).socket, { ...more, headers: { host: place(), ...more.headers } });

  test('is looked at as if it had come without one', async () => {
    await start();
    await egress.update([reaching([rule({ port: world.plainPort })], secrets)]);
    expect(await ask({ method: 'PUT', path: '/in', body: 'hello' })).toMatchObject({ status: 200 });
    expect(world.heard.at(-1)).toMatchObject({ url: '/in', body: 'hello', host: place() });
    await untilClosed();
    expect(lastRow()).toMatchObject({ attempt: { kind: 'plain' }, outcome: { requests: 1 } });
    expect(await ask({ headers: { host: 'admin.example.test' } })).toMatchObject({ status: 421 });
  });

  test.each([
    ['a header', { headers: { authorization: `Bearer ${placeholder}` } }],
    ['a body', { method: 'POST', body: placeholder }],
    ['an address', { path: `/?t=${placeholder}` }],
  ])('carries no placeholder: %s', async (_what, more) => {
    await start();
    await egress.update([reaching([rule({ port: world.plainPort })], secrets)]);
    const heard = world.heard.length;
    expect(await ask(more)).toMatchObject({ status: 403, text: expect.stringContaining('secret-in-clear') });
    expect(world.heard.length).toBe(heard);
    expect(egress.rows).toContainEqual(expect.objectContaining({ kind: 'refused', reason: 'secret-in-clear' }));
  });
});

describe('secrets', () => {
  const open = async (path = egress.socketOf()) => {
    const { status, socket, text } = await connectThrough(path, authorityText());
    if (status !== 200) throw new Error(text);
    return secureOver(socket, { servername: host, ca: egress.authority.certificate });
  };
  const ask = async (more: Parameters<typeof askOver>[1]) =>
    askOver(await open(), { ...more, headers: { host: authorityText(), ...more.headers } });

  test('take the place of their placeholder in their header, and do not come back though the host repeats them', async () => {
    await start();
    await egress.update([reaching([rule()], secrets)]);
    const answer = await ask({
      method: 'POST',
      path: '/issues',
      body: '{"title":"x"}',
      headers: { authorization: `Bearer ${placeholder}` },
    });
    expect(answer.status).toBe(200);
    expect(world.heard.at(-1)).toMatchObject({
      url: '/issues',
      body: '{"title":"x"}',
      headers: { authorization: 'Bearer the-real-value' },
    });
    expect(JSON.stringify(answer)).not.toContain('the-real-value');
    expect(answer.headers['x-echo']).toBe('Bearer **************');
    expect(answer.text).toContain('Bearer **************');
    await egress.update([]);
    await untilClosed();
    expect(lastRow()).toMatchObject({ attempt: { kind: 'opened' }, outcome: { secrets: ['TOKEN'], requests: 1 } });
    expect(JSON.stringify(egress.rows)).not.toContain('the-real-value');
  });

  test('work in Basic credentials, in another header where that is said, and on a connection that is kept', async () => {
    await start();
    const key = { KEY: { hosts: [host], header: 'x-api-key' } };
    await egress.update([reaching([rule()], { ...secrets, ...key })]);
    const basic = Buffer.from(`me:${placeholder}`).toString('base64');
    const answer = await ask({
      headers: { authorization: `Basic ${basic}`, 'x-api-key': placeholderOf(identity, 'KEY'), connection: 'keep-alive' },
    });
    const sent = Buffer.from('me:the-real-value').toString('base64');
    expect(world.heard.at(-1)?.headers).toMatchObject({ authorization: `Basic ${sent}`, 'x-api-key': 'the-real-value' });
    expect(answer.text).not.toContain(sent);
    expect(answer.text).not.toContain('the-real-value');
  });

  test.each([
    ['another header', { headers: { 'x-note': placeholder } }, 'secret-misplaced'],
    ['the address', { path: `/?token=${placeholder}` }, 'secret-misplaced'],
    ['the address, encoded', { path: `/?token=${placeholder.replace('qd_', '%71d%5f')}` }, 'secret-misplaced'],
    ['the body', { method: 'POST', body: JSON.stringify({ gist: placeholder }) }, 'secret-misplaced'],
    ['a header, of another server', { headers: { authorization: placeholderOf({ ...identity, server: 'x' }, 'TOKEN') } }, 'secret-unknown'],
    ['a header, of a secret for another host', { headers: { authorization: placeholderOf(identity, 'OTHER') } }, 'secret-elsewhere'],
  ])('are refused and on record where a placeholder stands in %s', async (_what, more, reason) => {
    await start();
    await egress.update([reaching([rule(), { host: 'two.example.test' }], { ...secrets, OTHER: { hosts: ['two.example.test'] } })]);
    const heard = world.heard.length;
    const answer = await ask(more);
    expect(answer).toMatchObject({ status: 403, text: expect.stringContaining(reason) });
    expect(world.heard.length).toBe(heard);
    expect(egress.rows).toContainEqual(expect.objectContaining({ kind: 'refused', reason }));
  });

  test('that cannot be read are no reason to send the request without them', async () => {
    await start({ readSecret: () => Promise.reject(new Error('gone')) });
    await egress.update([reaching([rule()], secrets)]);
    const heard = world.heard.length;
    expect(await ask({ headers: { authorization: `Bearer ${placeholder}` } })).toMatchObject({
      status: 503,
      text: expect.stringContaining('secret-unavailable'),
    });
    expect(world.heard.length).toBe(heard);
  });

  test('go to no host whose certificate nobody vouches for', async () => {
    const stranger = await startWorld();
    try {
      await start();
      await egress.update([reaching([rule({ port: stranger.securePort })], secrets)]);
      const place = `${host}:${stranger.securePort}`;
      const { socket } = await connectThrough(egress.socketOf(), place);
      const secure = await secureOver(socket, { servername: host, ca: egress.authority.certificate });
      const answer = await askOver(secure, { headers: { host: place, authorization: `Bearer ${placeholder}` } });
      expect(answer).toMatchObject({ status: 502, text: expect.stringContaining('untrusted') });
      expect(stranger.heard).toEqual([]);
    } finally {
      stranger.close();
    }
  });

  test('go to the host that was asked for, not to one named afterwards', async () => {
    await start();
    await egress.update([reaching([rule()], secrets)]);
    const answer = await askOver(await open(), { headers: { host: 'admin.example.test', authorization: placeholder } });
    expect(answer).toMatchObject({ status: 421, text: expect.stringContaining('other-host') });
    const { socket } = await connectThrough(egress.socketOf(), authorityText());
    await expect(secureOver(socket, { servername: 'admin.example.test', ca: egress.authority.certificate })).rejects.toThrow();
  });

  test('are looked for in answers, so one in an encoding that was not asked for does not pass', async () => {
    await start();
    await egress.update([reaching([rule()], secrets)]);
    const answer = await ask({ path: '/encoded', headers: { authorization: `Bearer ${placeholder}`, 'accept-encoding': 'gzip' } });
    expect(world.heard.at(-1)?.headers['accept-encoding']).toBe('identity');
    expect(answer).toMatchObject({ status: 502, text: expect.stringContaining('answer-encoded') });
  });

  test('a redirect comes back as it is: the host it leads to is the next request, and hears of no secret', async () => {
    await start();
    await egress.update([reaching([rule()], secrets)]);
    const answer = await ask({ path: '/redirect', headers: { authorization: `Bearer ${placeholder}` } });
    expect(answer).toMatchObject({ status: 302, headers: { location: 'http://169.254.169.254/latest/meta-data/' } });
    const next = { path: 'http://169.254.169.254/latest/meta-data/', headers: { host: '169.254.169.254' } };
    expect(await askOver(connect(egress.socketOf()), next)).toMatchObject({ status: 403 });
  });

  test('a connection is taken for requests alone, not turned into another protocol', async () => {
    await start();
    await egress.update([reaching([rule()], secrets)]);
    const secure = await open();
    secure.write(`GET / HTTP/1.1\r\nHost: ${authorityText()}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    const text = await new Promise<string>((resolve) => secure.once('data', (chunk) => resolve(String(chunk))));
    expect(text).toContain('501');
    await until(() => egress.rows.some(({ reason }) => reason === 'upgrade'), 'the refusal on record');
  });
});

test('a server without a cage is told of the proxy too, and its secret works the same', async () => {
  await start();
  await egress.update([reaching([rule()], secrets)]);
  const uncaged = await startTestHost({ isCaged: false, config: { egressDirectory: egress.folder } });
  try {
    const id = 'default/default/reacher';
    const program = { kind: 'command' as const, command: [process.execPath, '/server/tiny-server.ts'] };
    await uncaged.ensure(tinyLaunch(id, { program, egress: { secrets: ['TOKEN'] } }));
    const script = `fetch('https://${authorityText()}/bare', { headers: { authorization: 'Bearer ' + process.env.TOKEN } }).then(async (r) => r.status + ' ' + process.env.TOKEN, (e) => String(e.cause))`;
    expect(await uncaged.toolText(id, 'evaluate', { script })).toBe(`200 ${placeholder}`);
    expect(world.heard.at(-1)).toMatchObject({ url: '/bare', headers: { authorization: 'Bearer the-real-value' } });
  } finally {
    await uncaged.close();
  }
});

test('a server with `egress` is not started without a way out for it, and the answer says why', async () => {
  await start();
  const uncaged = await startTestHost({ isCaged: false });
  try {
    const answer = await uncaged.ensure(tinyLaunch('default/default/reacher', { egress: { secrets: [] } }));
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain('the egress process does not keep a way out for it');
  } finally {
    await uncaged.close();
  }
});
