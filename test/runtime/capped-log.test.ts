import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { expect, test } from 'vitest';
import { createCappedLog, serverLogPath } from '../../runtime/host/capped-log.ts';

test('rotates once at 1 MiB and keeps no more than two files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-log-'));
  const path = join(folder, 'server.log');
  const log = createCappedLog(path);
  for (let index = 0; index < 40; index += 1) log.write(Buffer.alloc(100_000, String(index % 10)));
  log.end();
  await finished(log);
  expect((await readdir(folder)).toSorted()).toEqual(['server.log', 'server.log.1']);
  for (const name of ['server.log', 'server.log.1']) expect((await stat(join(folder, name))).size).toBeLessThanOrEqual(1024 * 1024);
  expect((await readFile(path, 'utf8')).at(-1)).toBe('9');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await rm(folder, { recursive: true });
});

test('goes on when the folder cannot be written', async () => {
  const log = createCappedLog('/proc/nowhere/server.log');
  log.end('lost');
  await expect(finished(log)).resolves.toBeUndefined();
});

test('names a file after its instance, and no two instances share one', () => {
  const path = serverLogPath('/logs', 'default/default/fs/run_1');
  expect(path).toMatch(/^\/logs\/default_default_fs_run_1-[0-9a-f]{8}\.log$/);
  expect(serverLogPath('/logs', 'default/default_fs/run_1')).not.toBe(path);
});

test('keeps no token that a server writes to its error output, also when it comes in pieces', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'quarterdeck-log-'));
  const path = join(folder, 'server.log');
  const log = createCappedLog(path);
  const text = 'started\nkey sk-0123456789abcdefghij is used\nlast line with ghp_0123456789abcdefghijABCDEF';
  for (const byte of Buffer.from(text)) log.write(Buffer.from([byte]));
  log.end();
  await finished(log);
  expect(await readFile(path, 'utf8')).toMatch(/^started\nkey \[secret:[0-9a-f]{12}\] is used\nlast line with \[secret:[0-9a-f]{12}\]$/);
  await rm(folder, { recursive: true });
});
