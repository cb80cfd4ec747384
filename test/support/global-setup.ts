import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { freePort } from '../../bench/gateway/free-port.ts';
import { type Command, spawnCommand } from '../../cli/up/command.ts';
import { makeLastWill } from '../../cli/up/last-will.ts';
import { ensureDatabase, initialisePostgres, postgresCommand, postgresUrl, waitForPostgres } from '../../cli/up/postgres.ts';
import { temporalCommand, waitForTemporal } from '../../cli/up/temporal.ts';
import { migrateDatabase } from '../../store/database.ts';
import { templateDatabase } from './template-database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Base URL of what `setup` listens on; `GET /postgres` and `GET /temporal` answer an address as text. */
    testServicesUrl: string;
  }
}

/**
 * One Postgres and one Temporal server for a whole run of tests, each started by the first test that asks for it, so that a run
 * of pure tests waits for neither. Nothing of them outlives the run, also not when it is killed.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-test-'));
  chmodSync(folder, 0o711); // Postgres may have an account of its own
  const lastWill = makeLastWill();
  const started: { child: ChildProcess; exited: Promise<unknown>; signal: 'SIGINT' | 'SIGTERM' }[] = [];

  const start = (command: Command, signal: 'INT' | 'TERM'): void => {
    const child = spawnCommand(command, 'ignore');
    if (child.pid === undefined) throw new Error(`${command.file} does not start`);
    lastWill.include(child.pid, signal);
    started.push({ child, exited: once(child, 'exit'), signal: `SIG${signal}` });
  };

  const startPostgres = async (): Promise<string> => {
    const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '400' };
    const place = { folder: join(folder, 'postgres'), port: await freePort(), password: randomBytes(12).toString('hex'), settings };
    await initialisePostgres(place);
    start(postgresCommand(place), 'INT');
    const url = postgresUrl(place, 'postgres');
    await waitForPostgres(url, { deadlineMs: 30_000 });
    await ensureDatabase(url, templateDatabase);
    await migrateDatabase(postgresUrl(place, templateDatabase));
    return url;
  };

  const startTemporal = async (): Promise<string> => {
    const port = await freePort();
    start(temporalCommand({ port, home: folder }), 'TERM');
    const address = `127.0.0.1:${port}`;
    await waitForTemporal({ address, namespace: 'default' }, { deadlineMs: 30_000 });
    return address;
  };

  const starters: Record<string, () => Promise<string>> = { '/postgres': startPostgres, '/temporal': startTemporal };
  const addresses = new Map<string, Promise<string>>();
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const starter = starters[path];
    if (!starter) return void response.writeHead(404).end();
    const address = addresses.get(path) ?? starter();
    addresses.set(path, address);
    address.then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  project.provide('testServicesUrl', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);

  return async () => {
    server.close();
    server.closeAllConnections();
    for (const { child, signal } of started) child.kill(signal);
    await Promise.all(started.map(({ exited }) => exited));
    lastWill.revoke();
    rmSync(folder, { recursive: true, force: true });
  };
}
