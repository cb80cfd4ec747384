import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packageRoot, tinyLaunch, until } from '../../runtime/support/host-harness.ts';

/** A host in a process of its own; it prints its port. */
const script = (allowUncaged: boolean, folder: string) => `
  import { startHost } from '${packageRoot}/runtime/host/start-host.ts';
  import { createRuntimeChooser } from '${packageRoot}/runtime/host/choose-runtime.ts';
  import { createLogger } from '${packageRoot}/telemetry/logger.ts';
  const config = { port: 0, key: 'k', allowUncaged: ${allowUncaged}, packageRoot: '${packageRoot}', nodePath: process.execPath, logDirectory: '${folder}/logs' };
  const parts = ${allowUncaged} ? { chooseRuntime: createRuntimeChooser(config, createLogger({ name: 'host' }), async () => ({ ok: false, reason: 'played' })) } : {};
  console.log((await startHost(config, parts)).port);`;

let folder: string;
let child: ChildProcess;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quarterdeck-killed-'));
});
afterEach(async () => {
  child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** Processes of this machine whose command line holds the marker. */
const marked = async (marker: string): Promise<string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const holds = async (pid: string) => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes(marker);
  const found = await Promise.all(pids.map(async (pid) => ((await holds(pid)) ? pid : undefined)));
  return found.filter((pid) => pid !== undefined);
};

// A bare server ends because its input closes; a caged one has no choice.
test.each([
  ['caged', false],
  ['uncaged', true],
])('SIGKILL of the host leaves no %s server behind', async (name, allowUncaged) => {
  child = spawn(process.execPath, ['--input-type=module', '-e', script(allowUncaged, folder)], { stdio: ['ignore', 'pipe', 'ignore'] });
  const port = await new Promise<string>((resolve) => child.stdout?.once('data', (chunk) => resolve(String(chunk).trim())));
  const marker = `marker-${name}-${process.pid}`;
  const id = 'default/default/left';
  const answer = await fetch(`http://127.0.0.1:${port}/instances/${encodeURIComponent(id)}`, {
    method: 'PUT',
    headers: { authorization: 'Bearer k' },
    body: JSON.stringify(tinyLaunch(id, { args: [marker], env: allowUncaged ? {} : { STUBBORN: '1' } })),
  });
  expect(await answer.json()).toMatchObject({ state: 'ready', isolation: allowUncaged ? 0 : 1 });
  expect((await marked(marker)).length).toBeGreaterThan(0);
  child.kill('SIGKILL');
  await until(async () => (await marked(marker)).length === 0, 'every process of the server is gone');
});
