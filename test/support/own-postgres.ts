import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../bench/gateway/free-port.ts';
import { spawnCommand } from '../../cli/up/command.ts';
import { makeLastWill } from '../../cli/up/last-will.ts';
import { ensureDatabase, initialisePostgres, postgresCommand, postgresUrl, waitForPostgres } from '../../cli/up/postgres.ts';
import { migrateDatabase } from '../../store/database.ts';

/** A Postgres of one test alone, as durable as that of a platform, that can be killed and started again on what it had written. */
export const startOwnPostgres = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-own-postgres-'));
  chmodSync(folder, 0o711); // Postgres may have an account of its own
  const place = { folder: join(folder, 'postgres'), port: await freePort(), password: randomBytes(12).toString('hex') };
  const lastWill = makeLastWill();
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    child = spawnCommand(postgresCommand(place), 'ignore');
    if (child.pid !== undefined) lastWill.include(child.pid, 'INT');
    await waitForPostgres(postgresUrl(place, 'postgres'), { deadlineMs: 60_000 });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    // its own group: the processes that serve connections go with it
    process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal);
    await gone;
    lastWill.exclude(child.pid);
  };

  await initialisePostgres(place);
  await start();
  await ensureDatabase(postgresUrl(place, 'postgres'), 'quarterdeck');
  const url = postgresUrl(place, 'quarterdeck');
  await migrateDatabase(url);
  return {
    url,
    start,
    kill: () => end('SIGKILL'),
    close: async (): Promise<void> => {
      await end('SIGINT');
      lastWill.revoke();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
