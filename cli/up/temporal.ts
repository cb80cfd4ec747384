import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { findTemporal } from '../setup/find-temporal.mjs';
import { cannotStart } from './cannot-start.ts';
import type { Command } from './command.ts';
import { pollUntil } from './poll-until.ts';

/**
 * Finds the `temporal` program: on the path, or in our cache.
 * @throws {PlatformError} `input_invalid` where there is none
 */
export const findTemporalProgram = (): string => {
  const program = findTemporal();
  if (program !== undefined) return program;
  throw cannotStart('There is no `temporal` program: run `node deploy/setup/prepare.mjs`, or give TEMPORAL_ADDRESS of a server.');
};

/**
 * The development server as a command. Its files survive a kill: the write-ahead log loses at most what was not yet answered for.
 * @param options.file - its SQLite file; in memory when absent
 * @param options.port - gRPC on 127.0.0.1; its other listeners take free ports
 */
export const temporalCommand = ({ file, port, home }: { file?: string; port: number; home: string }): Command => {
  const storage =
    file === undefined ? [] : ['--db-filename', file, '--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'];
  return {
    file: findTemporalProgram(),
    args: [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--headless', '--log-level', 'error', '--log-format', 'json'],
      ...['--disable-config-env', '--disable-config-file', ...storage],
    ],
    env: { HOME: home, PATH: '/usr/bin:/bin' },
    cwd: home,
  };
};

const markerIn = (folder: string): string => join(folder, 'complete');

/**
 * Makes the folder of the server's file ready for a start. The server makes its tables only where there is no file at all, so one
 * that a kill left half made, before it ever served, is taken away.
 * @returns path of the file
 */
export const prepareTemporalFolder = (folder: string): string => {
  if (!existsSync(markerIn(folder))) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return join(folder, 'temporal.db');
};

/** Notes that the tables are there: from now on the file is kept whatever happens. */
export const keepTemporalFolder = (folder: string): void => writeFileSync(markerIn(folder), '', { mode: 0o600 });

/** Resolves when the server answers and has the namespace. */
export const waitForTemporal = (
  { address, namespace }: { address: string; namespace: string },
  options: { deadlineMs: number; signal?: AbortSignal | undefined },
): Promise<void> =>
  pollUntil(async () => {
    const connection = await Connection.connect({ address, connectTimeout: 2000 });
    try {
      await connection.withDeadline(Date.now() + 2000, () => connection.workflowService.describeNamespace({ namespace }));
    } finally {
      await connection.close();
    }
  }, options);
