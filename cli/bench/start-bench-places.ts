import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { BenchPlaces } from '../../bench/gateway/run-gateway-bench.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import { migrateDatabase } from '../../store/database.ts';
import type { Config } from '../config.ts';
import { resolveInstallation } from '../resolve-installation.ts';
import { spawnCommand } from '../up/command.ts';
import { type LastWill, makeLastWill } from '../up/last-will.ts';
import { nodePart } from '../up/node-part.ts';
import { ensureDatabase, initialisePostgres, postgresCommand, postgresUrl, waitForPostgres } from '../up/postgres.ts';
import { createUndo } from '../up/undo.ts';
import { makeBenchFolder } from './bench-folder.ts';

type Server = { url: string; pid?: number; close(): Promise<void> };

const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
};

/** A Postgres as `quarterdeck up` starts it, with its defaults: each commit is on the disk before it counts. */
const startPostgres = async (folder: string, lastWill: LastWill): Promise<Server> => {
  const place = { folder: join(folder, 'postgres'), port: await freePort(), password: randomBytes(12).toString('hex') };
  await initialisePostgres(place);
  const child = spawnCommand(postgresCommand(place), 'ignore');
  const pid = child.pid as number;
  lastWill.include(pid, 'INT');
  const close = async (): Promise<void> => {
    await end(child, 'SIGINT');
    lastWill.exclude(pid);
  };
  const serverUrl = postgresUrl(place, 'postgres');
  try {
    await waitForPostgres(serverUrl, { deadlineMs: 30_000 });
    await ensureDatabase(serverUrl, 'bench');
  } catch (error) {
    await close();
    throw error;
  }
  return { url: postgresUrl(place, 'bench'), pid, close };
};

/** A database of its own on a server that is there already. */
const makeDatabase = async (serverUrl: string): Promise<Server> => {
  const name = `quarterdeck_bench_${process.pid}`;
  const onServer = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await onServer(`drop database if exists ${name} with (force)`);
  await onServer(`create database ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, close: () => onServer(`drop database if exists ${name} with (force)`) };
};

/**
 * Starts what a benchmark of the gateway stands on, apart from any platform that may be running: a database, and gateways as processes of
 * their own, as `quarterdeck up` has them. Nothing of it outlives this process, however that ends.
 * @param root - where the folder of this run is made; on the disk that the platform would write to
 */
export const startBenchPlaces = async (root: string, given: Config): Promise<BenchPlaces & { close(): Promise<void> }> => {
  const config = await resolveInstallation(given);
  const undo = createUndo();
  try {
    const folder = makeBenchFolder(root);
    undo.add(() => rmSync(folder, { recursive: true, force: true }));
    const lastWill = makeLastWill();
    undo.add(() => lastWill.revoke());
    const server = config.databaseUrl === undefined ? await startPostgres(folder, lastWill) : await makeDatabase(config.databaseUrl);
    undo.add(server.close);
    await migrateDatabase(server.url);

    const startGateway = async (gatewayConfig: GatewayConfig) => {
      const part = nodePart('gateway', {
        config: gatewayConfig,
        stopGraceMs: 10_000,
        logFile: join(folder, 'gateway.log'),
        logLevel: 'warn',
        redactionKey: gatewayConfig.auditKey,
        environment: config.environment,
      });
      const { child, ready } = part.launch();
      const close = (): Promise<void> => end(child, 'SIGTERM');
      undo.add(close);
      await ready;
      return { pid: child.pid as number, close };
    };
    return {
      databaseUrl: server.url,
      ...(server.pid === undefined ? {} : { postgresPid: server.pid }),
      folder,
      startGateway,
      close: undo.run,
    };
  } catch (error) {
    await undo.run();
    throw error;
  }
};
