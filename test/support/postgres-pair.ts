import { type ChildProcess, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../bench/gateway/free-port.ts';
import { spawnCommand } from '../../cli/up/command.ts';
import { makeLastWill } from '../../cli/up/last-will.ts';
import {
  ensureDatabase,
  initialisePostgres,
  type PostgresPlace,
  postgresCommand,
  postgresUrl,
  waitForPostgres,
} from '../../cli/up/postgres.ts';
import { migrateDatabase } from '../../store/database.ts';
import { pollUntil } from './poll-until.ts';

const query = async (url: string, text: string): Promise<Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
};

/** A Postgres server and its standby, which has each commit before whoever committed hears of it; the first can be killed, the other takes over. */
export const startPostgresPair = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-pair-'));
  chmodSync(folder, 0o711); // Postgres may have an account of its own
  const lastWill = makeLastWill();
  const password = randomBytes(12).toString('hex');
  const settings = { fsync: 'off', full_page_writes: 'off', wal_receiver_status_interval: '1' };
  const place = async (name: string): Promise<PostgresPlace> => ({
    folder: join(folder, name),
    port: await freePort(),
    password,
    settings,
  });
  const [first, second] = [await place('first'), await place('second')];
  const running: { child: ChildProcess; exited: Promise<unknown> }[] = [];
  const start = (of: PostgresPlace): (typeof running)[number] => {
    const child = spawnCommand(postgresCommand(of), 'ignore');
    if (child.pid === undefined) throw new Error('Postgres does not start');
    lastWill.include(child.pid, 'INT');
    const each = { child, exited: once(child, 'exit') };
    running.push(each);
    return each;
  };

  await initialisePostgres(first);
  // no server runs yet, so a copy of the folder is what a base backup would be
  execFileSync('cp', ['-a', first.folder, second.folder]);
  appendFileSync(
    join(second.folder, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${first.port} user=quarterdeck password=${password}'\n`,
  );
  execFileSync('cp', ['-p', join(second.folder, 'PG_VERSION'), join(second.folder, 'standby.signal')]);
  const primary = start(first);
  const server = postgresUrl(first, 'postgres');
  await waitForPostgres(server, { deadlineMs: 30_000 });
  await ensureDatabase(server, 'pair');
  await migrateDatabase(postgresUrl(first, 'pair'));
  start(second);
  await query(server, `alter system set synchronous_standby_names = '*'`);
  await query(server, 'select pg_reload_conf()');
  await pollUntil(
    async () => ((await query(server, 'select sync_state from pg_stat_replication'))[0]?.sync_state === 'sync' ? true : undefined),
    'a standby that has each commit',
  );

  return {
    firstUrl: postgresUrl(first, 'pair'),
    secondUrl: postgresUrl(second, 'pair'),
    /** The first server dies with all of its processes; the standby becomes the one. */
    failOver: async (): Promise<void> => {
      const { pid } = primary.child;
      if (pid === undefined) throw new Error('the first server does not run');
      process.kill(pid, 'SIGKILL');
      await primary.exited;
      await query(postgresUrl(second, 'postgres'), 'select pg_promote()');
      await waitForPostgres(postgresUrl(second, 'pair'), { deadlineMs: 30_000 });
    },
    close: async (): Promise<void> => {
      for (const { child, exited } of running) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGINT');
        await exited;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
