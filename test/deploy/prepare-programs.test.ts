import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cachedTemporal } from '../../cli/setup/find-temporal.mjs';
import { makeScratchClone } from '../support/scratch-clone.ts';

let clone: ReturnType<typeof makeScratchClone>;
beforeEach(async () => {
  clone = makeScratchClone();
  clone.addNpm();
  await clone.prepare('check');
});
afterEach(() => clone.remove());

const silence = { code: 0, stdout: '', stderr: '' };

test('says in one line what is missing where Temporal cannot be had, and needs nothing when an address is given', async () => {
  const missing = await clone.prepare('test');
  expect(missing).toMatchObject({ code: 1, stdout: '' });
  expect(missing.stderr).toMatch(/^set-up: Temporal is missing: .*Go is not on the path.*TEMPORAL_ADDRESS\.\n$/);
  expect(await clone.prepare('test', { env: { TEMPORAL_ADDRESS: '127.0.0.1:7233' } })).toEqual(silence);
});

test('lets a command run without Temporal, which may have to do with a platform elsewhere', async () => {
  expect(await clone.prepare('qd')).toMatchObject({ code: 0, stderr: expect.stringContaining('Temporal is missing') });
  expect(await clone.prepare('qd', { env: { QUARTERDECK_URL: 'http://127.0.0.1:1' } })).toEqual(silence);
});

test('builds Temporal with Go, once, where it cannot be downloaded', async () => {
  clone.addProgram('go', `printf '#!/bin/sh\\n' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal"`);
  const built = await clone.prepare('test');
  expect(built).toMatchObject({ code: 0, stderr: expect.stringContaining('go install github.com/temporalio/cli/cmd/temporal@v') });
  expect(existsSync(cachedTemporal(clone.cache))).toBe(true);
  expect(await clone.prepare('test')).toEqual(silence);
});

test('fetches the release of Temporal that the SDK would fetch, and keeps only a program that starts', async () => {
  const archive = join(clone.folder, 'release.tar.gz');
  const release = (body: string) => {
    clone.addProgram('temporal-of-release', body);
    execFileSync('tar', ['-czf', archive, '-C', clone.bin, 'temporal-of-release']);
  };
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const answer = { archiveUrl: `http://${request.headers.host}/release.tar.gz`, fileToExtract: 'temporal-of-release' };
    response.end(request.url === '/release.tar.gz' ? readFileSync(archive) : JSON.stringify(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const env = { QUARTERDECK_TEMPORAL_DOWNLOADS: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  try {
    release('[ "$1" = --version ]');
    expect(await clone.prepare('test', { env })).toMatchObject({ code: 0, stderr: expect.stringContaining('download: Temporal') });
    expect(asked[0]).toMatch(/^\/cli\/v\d+\.\d+\.\d+\?arch=\w+&platform=\w+&format=tar\.gz$/);
    expect(existsSync(cachedTemporal(clone.cache))).toBe(true);

    rmSync(clone.cache, { recursive: true });
    release('exit 1');
    expect(await clone.prepare('test', { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not start on this machine'),
    });
    expect(existsSync(cachedTemporal(clone.cache))).toBe(false);
  } finally {
    server.close();
  }
});

test('installs bubblewrap by apt as root, else says what helps, and goes on in any case', async () => {
  clone.addProgram('temporal', '');
  clone.addProgram('pip3', '');
  clone.addProgram('apt-get', `echo "apt-get $@" >&2`);
  const { code, stderr } = await clone.prepare('start');
  expect(code).toBe(0);
  if (process.platform !== 'linux') expect(stderr).toMatch(/^set-up: .*--allow-uncaged`\n$/);
  else if (process.getuid?.() !== 0) expect(stderr).toMatch(/^set-up: .*sudo apt-get install bubblewrap\n$/);
  else expect(stderr).toMatch(/update\napt-get .*install -y bubblewrap\n$/);

  clone.addProgram('bwrap', '');
  if (process.platform === 'linux') expect(await clone.prepare('start')).toEqual(silence);
});

test('installs pip by apt as root where neither it nor an index address is there, and needs neither for the tests', async () => {
  clone.addProgram('temporal', '');
  clone.addProgram('bwrap', '');
  clone.addProgram('apt-get', `echo "apt-get $@" >&2`);
  const isRoot = process.getuid?.() === 0;
  const { code, stderr } = await clone.prepare('start');
  expect(code).toBe(0);
  if (isRoot) expect(stderr).toMatch(/update\napt-get .*install -y python3-pip\n$/);
  expect((await clone.prepare('start', { env: { PIP_INDEX_URL: 'http://127.0.0.1:9/simple' } })).stderr).not.toContain('python3-pip');
  expect(await clone.prepare('test')).toEqual(silence);
});
