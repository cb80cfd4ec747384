import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReadyInstance, ServerLaunchInput } from '../../../schema/server-launch.ts';
import { type HostHarness, isAlive, startTestHost, tinyLaunch, until } from '../../runtime/support/host-harness.ts';

let host: HostHarness;
const files = 'default/default/files/run_1';
const inputOf = () => join(host.folder, 'in');

const connect = async (id: string): Promise<Client> => {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const address = new URL(`${host.address}${host.pathOf(id, '/mcp')}`);
  await client.connect(new StreamableHTTPClientTransport(address, { requestInit: { headers: { authorization: 'Bearer internal-key' } } }));
  return client;
};

beforeAll(async () => {
  host = await startTestHost({ isCaged: true });
  await mkdir(join(inputOf(), '.git/objects'), { recursive: true });
  await mkdir(join(inputOf(), 'packages/one/node_modules/left-pad'), { recursive: true });
  await mkdir(join(host.folder, 'out'));
  await writeFile(join(inputOf(), 'a.ts'), 'export const a = 1;');
  await writeFile(join(inputOf(), '.env'), 'SECRET=1');
  await writeFile(join(inputOf(), '.git/config'), 'SECRET=1');
  await writeFile(join(host.folder, 'beside.txt'), 'SECRET=1');
  await symlink('../beside.txt', join(inputOf(), 'out-link'));
  await symlink('/etc/passwd', join(inputOf(), 'passwd'));
  const launch: ServerLaunchInput = {
    id: files,
    digest: 'sha256:one',
    program: { kind: 'npm', package: '@modelcontextprotocol/server-filesystem' },
    args: ['/input', '/output', '/'],
    volumes: [
      { hostPath: inputOf(), at: '/input', mode: 'ro', hide: ['.git', 'node_modules', '.env'] },
      { hostPath: join(host.folder, 'out'), at: '/output', mode: 'rw' },
    ],
    limits: { memoryMb: 256 },
  };
  expect(await (await host.ensure(launch)).json()).toMatchObject({
    state: 'ready',
    isolation: 1,
    serverInfo: { name: 'secure-filesystem-server' },
  });
});
afterAll(() => host.close());

describe('the public filesystem server in a cage, told that it may read everything', () => {
  test('lists its tools and reads a file for a client of the official SDK', async () => {
    const client = await connect(files);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('read_text_file');
    expect(await client.callTool({ name: 'read_text_file', arguments: { path: '/input/a.ts' } })).toMatchObject({
      content: [{ text: 'export const a = 1;' }],
    });
    await client.close();
  });

  test('writes where it may and not where it may not', async () => {
    expect(await host.toolText(files, 'write_file', { path: '/output/r.md', content: 'report' })).toContain('/output/r.md');
    expect(await readFile(join(host.folder, 'out/r.md'), 'utf8')).toBe('report');
    for (const path of ['/input/new.ts', '/input/a.ts', '/root.txt', '/usr/x', '/dev/x'])
      expect(await host.toolText(files, 'write_file', { path, content: 'x' })).toMatch(/EROFS|EACCES/);
  });

  test('finds hidden names empty', async () => {
    for (const path of ['/input/.git', '/input/packages/one/node_modules'])
      expect(await host.toolText(files, 'list_directory', { path })).toBe('');
    expect(await host.toolText(files, 'read_text_file', { path: '/input/.git/config' })).toContain('ENOENT');
    expect(await host.toolText(files, 'read_text_file', { path: '/input/.env' })).not.toContain('SECRET');
    expect(await host.toolText(files, 'write_file', { path: '/input/.git/x', content: 'x' })).toContain('EROFS');
  });

  test('sees no file of the host, neither by its path nor over a link', async () => {
    for (const path of [host.folder, host.config.logDirectory, '/etc', '/root', '/home', '/var', '/sys'])
      expect(await host.toolText(files, 'list_directory', { path })).toMatch(/ENOENT|does not exist/);
    for (const path of ['/input/out-link', '/input/passwd', '/input/../beside.txt'])
      expect(await host.toolText(files, 'read_text_file', { path })).toMatch(/ENOENT|does not exist|denied/);
    expect(
      (await host.toolText(files, 'list_directory', { path: '/' }))
        .split('\n')
        .map((line) => line.split(' ')[1])
        .toSorted(),
    ).toEqual(['bin', 'dev', 'input', 'lib', 'lib64', 'opt', 'output', 'proc', 'scratch', 'tmp', 'usr']);
  });

  test('has its links told apart on the host side', async () => {
    const answer = await host.request('POST', host.pathOf(files, '/resolve-paths'), {
      paths: ['/input/out-link', '/input/passwd', '/input/a.ts'],
    });
    expect(await answer.json()).toMatchObject({
      paths: [{ escapes: true }, { escapes: true }, { escapes: false, canonical: '/input/a.ts' }],
    });
  });
});

describe('a server that tries to leave its cage', () => {
  const id = 'default/default/escape';
  const run = async (script: string): Promise<string> => {
    const launch = tinyLaunch(id, {
      program: { kind: 'command', command: ['node', '/server/tiny-server.ts'] },
      env: { TOKEN: 'in-the-cage' },
    });
    await host.ensure(launch);
    return host.toolText(id, 'evaluate', { script });
  };

  test('has no capability, no new privileges, a filter and few open files', async () => {
    const status = await run(`fs.readFileSync('/proc/self/status', 'utf8')`);
    expect(status).toMatch(/CapEff:\s0+\n/);
    expect(status).toMatch(/CapBnd:\s0+\n/);
    expect(status).toMatch(/NoNewPrivs:\s1\n/);
    expect(status).toMatch(/Seccomp:\s2\n/);
    expect(await run(`fs.readFileSync('/proc/self/limits', 'utf8')`)).toMatch(/Max core file size\s+0[\s\S]*Max open files\s+1024/);
    // 0 to 2 and what Node opened for itself: neither the cage's arguments nor its filter are left behind.
    expect(
      await run(
        `fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }).filter((target) => target.startsWith('/') && !target.startsWith('/proc')).join()`,
      ),
    ).toMatch(/^(\/dev\/null,?)*$/);
  });

  test('cannot write kernel settings, see other processes or make a namespace', async () => {
    expect(await run(`try { fs.openSync('/proc/sys/kernel/core_pattern', 'r+') } catch (error) { error.code }`)).toBe('EROFS');
    const pids = (await run(`fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).join()`)).split(',');
    expect(pids.length).toBeLessThan(5);
    const attempt = (command: string) =>
      run(`(({ status, stderr }) => status + ' ' + stderr)(child.spawnSync('/bin/sh', ['-c', ${JSON.stringify(command)}]))`);
    expect(await attempt('unshare -U true')).toMatch(/^1 .*not permitted/);
    expect(await attempt('unshare -m true')).toMatch(/^1 .*not permitted/);
    expect(await attempt('mount -t tmpfs x /scratch')).not.toMatch(/^0/);
    expect(await attempt('mount -o remount,rw /proc')).not.toMatch(/^0/);
    expect(await attempt('umount /input')).not.toMatch(/^0/);
  });

  test('cannot fill memory through its own file systems', async () => {
    expect(await run(`try { fs.writeFileSync('/scratch/x', Buffer.alloc(80 << 20)) } catch (error) { error.code }`)).toBe('ENOSPC');
    expect(await run(`try { fs.writeFileSync('/dev/shm/x', Buffer.alloc(20 << 20)) } catch (error) { error.code }`)).toBe('ENOSPC');
    for (const place of ['/x', '/dev/x', '/opt/x', '/opt/server/x', '/opt/node/bin/x', '/proc/x'])
      expect(await run(`try { fs.writeFileSync('${place}', 'x') } catch (error) { error.code }`)).toMatch(/EROFS|ENOENT/);
  });

  test('reaches no network: neither loopback of the host nor its addresses nor names', async () => {
    const listener = createServer((_request, response) => response.end('reached')).listen(0, '0.0.0.0');
    await new Promise((resolve) => listener.once('listening', resolve));
    const { port } = listener.address() as AddressInfo;
    const own = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family }) => family === 'IPv4')
      .map(({ address }) => address);
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('reached');
    for (const address of [...own, '127.0.0.1', '169.254.169.254', 'registry.invalid'])
      expect(
        await run(
          `fetch('http://${address}:${port}', { signal: AbortSignal.timeout(2000) }).then((r) => r.text(), (error) => 'refused ' + (error.cause?.code ?? error.name))`,
        ),
      ).toMatch(/^refused/);
    listener.close();
  });

  test('is not told about the host, and what it was told is in no process list', async () => {
    const about = JSON.parse(await host.toolText(id, 'about')) as { env: Record<string, string> };
    expect(about.env).toMatchObject({ PATH: '/opt/node/bin:/usr/bin', HOME: '/scratch', TOKEN: 'in-the-cage' });
    expect(Object.keys(about.env).toSorted()).toEqual(['HOME', 'PATH', 'PWD', 'TMPDIR', 'TOKEN']);
    expect(await run(`os.hostname()`)).toBe('cage');
    const { instances } = (await (await host.request('GET', '/instances')).json()) as { instances: { id: string; pid: number }[] };
    const pid = instances.find((instance) => instance.id === id)?.pid;
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8');
    expect(commandLine).toContain('bwrap');
    expect(commandLine).not.toContain('in-the-cage');
    expect(await readFile(`/proc/${pid}/environ`, 'utf8')).toBe('');
  });
});

describe('shared servers', () => {
  test('the public everything server: two callers at once get their own answers, and progress', async () => {
    const id = 'default/default/everything';
    const launch: ServerLaunchInput = {
      id,
      digest: 'x',
      program: { kind: 'npm', package: '@modelcontextprotocol/server-everything' },
      args: ['stdio'],
    };
    expect(((await (await host.ensure(launch)).json()) as ReadyInstance).isolation).toBe(1);
    const [one, other] = await Promise.all([connect(id), connect(id)]);
    const echo = (client: Client, message: string) => client.callTool({ name: 'echo', arguments: { message } });
    const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => echo(index % 2 === 0 ? one : other, `message ${index}`)));
    expect(answers.map(({ content }) => (content as { text: string }[])[0]?.text)).toEqual(
      answers.map((_, index) => `Echo: message ${index}`),
    );
    const progress: number[] = [];
    const long = { name: 'trigger-long-running-operation', arguments: { duration: 0.4, steps: 4 } };
    await one.callTool(long, undefined, { onprogress: (event) => progress.push(event.progress) });
    expect(progress).toEqual([1, 2, 3, 4]);
    await Promise.all([one.close(), other.close()]);
  });

  test('garbage on its output does not harm a caged server, and a cancellation reaches it', async () => {
    const id = 'default/default/noisy';
    await host.ensure(tinyLaunch(id));
    expect(await host.toolText(id, 'garbage')).toBe('still here');
    const client = await connect(id);
    const cancelling = new AbortController();
    const held = client
      .callTool({ name: 'hold', arguments: { name: 'x' } }, undefined, { signal: cancelling.signal })
      .catch(() => 'cancelled');
    await until(async () => JSON.parse(await host.toolText(id, 'held')).length === 1, 'it is held');
    cancelling.abort();
    expect(await held).toBe('cancelled');
    await until(async () => JSON.parse(await host.toolText(id, 'cancelled')).length === 1, 'the server heard of it');
    await client.close();
  });

  test('a killed one is started again by the next call, and nothing of it is left', async () => {
    const id = 'default/default/killed';
    const ensure = async () => (await (await host.ensure(tinyLaunch(id))).json()) as ReadyInstance;
    const { pid } = await ensure();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), 'it is gone');
    await until(async () => (await host.toolText(id, 'echo', { text: 'back' })) === 'back', 'it is back');
    expect((await ensure()).pid).not.toBe(pid);
  });
});

test('a volume with two thousand hidden folders can still be mounted', { timeout: 60_000 }, async () => {
  const crowded = join(host.folder, 'crowded');
  await Promise.all(Array.from({ length: 2_000 }, (_, index) => mkdir(join(crowded, `${index}/node_modules`), { recursive: true })));
  const launch = tinyLaunch('default/default/crowded', {
    volumes: [{ hostPath: crowded, at: '/input', mode: 'ro', hide: ['node_modules'] }],
  });
  expect((await host.ensure(launch)).status).toBe(200);
  await host.request('DELETE', host.pathOf(launch.id));
});

test('the log folder of the host cannot be a volume', async () => {
  const launch = tinyLaunch('default/default/logs', { volumes: [{ hostPath: host.config.logDirectory, at: '/input', mode: 'ro' }] });
  expect(await (await host.ensure(launch)).json()).toMatchObject({ code: 'input_invalid' });
});
