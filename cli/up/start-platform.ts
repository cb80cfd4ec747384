import { rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import { openSecretStores } from '../../store/secrets/secret-stores.ts';
import { resolveInstallation } from '../resolve-installation.ts';
import { createSecretAnswerer } from './answer-secrets.ts';
import { systemClock } from './backoff.ts';
import { cannotStart } from './cannot-start.ts';
import { type DataFolder, dataFolderAt, prepareDataFolder } from './data-folder.ts';
import { lockDataFolder } from './data-lock.ts';
import { prepareEgressFolder } from './egress-place.ts';
import { lookUpKeychain } from './keychain.ts';
import { loadKeys } from './keys.ts';
import { keepLogsSmall } from './log-file.ts';
import { renderMetrics, serveMetrics } from './metrics.ts';
import { createPartSet } from './part-set.ts';
import type { Platform, PlatformOptions } from './platform-options.ts';
import { processParts, workerApart } from './platform-parts.ts';
import { checkPorts, type Listener, type Ports, portOffsets, portsFrom } from './ports.ts';
import { findPostgresPrograms } from './postgres.ts';
import { addressesOf, type ReadyFile } from './ready-file.ts';
import { devIdpUrl, seed } from './seed.ts';
import { startServers } from './start-servers.ts';
import { startTogether } from './start-together.ts';
import { stopLeftovers } from './stop-leftovers.ts';
import { findTemporalProgram } from './temporal.ts';
import { createUndo, type Undo } from './undo.ts';
import { watchResources } from './watch-resources.ts';
import { writePrivateFile } from './write-private-file.ts';

/** What can be seen to be wrong before anything is done. */
const checkOptions = ({ profile, allowUncaged, resourcesDirectory, readyFile, config }: PlatformOptions): void => {
  if (readyFile !== undefined && !statSync(dirname(readyFile), { throwIfNoEntry: false })?.isDirectory())
    throw new PlatformError(
      'input_invalid',
      `There is no folder ${dirname(readyFile)} for the ready file; make it, or choose another place.`,
    );
  if (profile === 'production' && allowUncaged)
    throw new PlatformError('input_invalid', 'The profile production runs no uncaged servers: leave `--allow-uncaged` away.');
  if (resourcesDirectory === undefined) return;
  if (!statSync(resourcesDirectory, { throwIfNoEntry: false })?.isDirectory())
    throw new PlatformError('input_invalid', `There is no folder ${resourcesDirectory} for \`--resources\`; give one that exists.`);
  if (profile === 'production' && config.token === undefined)
    throw new PlatformError(
      'input_invalid',
      'Nobody has a token yet that may apply `--resources` in production: set QUARTERDECK_TOKEN to one.',
    );
};

/** Takes the data folder, ends what a crash left in it, and looks whether everything is there that will be started. */
const prepare = async (folder: DataFolder, ports: Ports, { config, onLine }: PlatformOptions, undo: Undo): Promise<void> => {
  prepareDataFolder(folder);
  undo.add(lockDataFolder(folder));
  const left = await stopLeftovers(folder);
  if (left.length > 0) onLine(`stopped what an earlier start had left running: ${left.join(', ')}`);
  const listeners = Object.keys(portOffsets) as Listener[];
  const elsewhere = [config.databaseUrl && 'postgres', config.temporalAddress && 'temporal'];
  await checkPorts(
    ports,
    listeners.filter((listener) => !elsewhere.includes(listener)),
  );
  if (!config.databaseUrl) findPostgresPrograms();
  if (!config.temporalAddress) findTemporalProgram();
};

/** What is kept elsewhere is not copied into a file. */
const withoutPassword = (databaseUrl: string): string => {
  const url = new URL(databaseUrl);
  url.password = '';
  return url.href;
};

/** Writes the ready file to its places; it goes away when the platform stops. */
const announce = (ready: ReadyFile, paths: (string | undefined)[], undo: Undo): void => {
  for (const path of paths) {
    if (path === undefined) continue;
    try {
      writePrivateFile(path, `${JSON.stringify(ready, null, 2)}\n`);
    } catch (cause) {
      throw cannotStart(`The ready file ${path} cannot be written: give another place to \`--ready-file\`.`, cause);
    }
    undo.add(() => rmSync(path, { force: true }));
  }
};

/**
 * Brings a platform up on a data folder and keeps its processes alive: Postgres and Temporal unless there are such elsewhere, then
 * our own. What can be wrong is looked at before anything is started; what fails later stops what was started by then.
 * @throws {PlatformError} one line with the cause and what helps; or the reason of an aborted `signal`
 */
export const startPlatform = async (given: PlatformOptions): Promise<Platform> => {
  checkOptions(given);
  const options = { ...given, config: await resolveInstallation(given.config) };
  const { onLine, signal, profile } = options;
  const ports = portsFrom(options.port);
  const folder = dataFolderAt(options.dataDirectory);
  const undo = createUndo();
  try {
    await prepare(folder, ports, options, undo);
    if (options.readyFile !== undefined) rmSync(options.readyFile, { force: true }); // a killed platform leaves one that is not true
    const keys = await loadKeys(folder, options.config.rootKeys);
    const parts = createPartSet({ folder, port: options.port, profile, clock: systemClock, onLine });
    undo.add(() => rmSync(folder.supervisorFile, { force: true }));
    undo.add(parts.stop);
    undo.add(keepLogsSmall(folder.logs));
    const { databaseUrl, serviceUrl, temporalAddress } = await startServers({ folder, ports, keys, options, parts });
    const tokens = await seed(databaseUrl, profile, keys.internal.personTokens, devIdpUrl(ports));
    const egressAccount = prepareEgressFolder(folder.egress);
    if (!egressAccount) onLine('the egress process shares your user id, as this is not root; a server in a cage does not notice');
    const { environment, secretStores, privatePaths } = options.config;
    const stores = openSecretStores(secretStores, (account) => lookUpKeychain(account, environment));
    const secrets = createSecretAnswerer({ databaseUrl: serviceUrl, environment, privateDirectory: folder.root, privatePaths, stores });
    undo.add(stores.close);
    undo.add(secrets.close);
    const restartWorkers = () => {
      for (const name of ['worker', workerApart]) parts.restart(name);
    };
    const context = { folder, ports, keys, options, databaseUrl: serviceUrl, temporalAddress, egressAccount, secrets, restartWorkers };
    await startTogether(
      processParts(context).map((part) => (until: AbortSignal) => parts.start(part, until)),
      signal,
    );
    const metrics = await serveMetrics(ports.metrics, async () => renderMetrics(parts.report(), await parts.measure()));
    undo.add(metrics.close);
    const shownUrl = given.config.references.DATABASE_URL ? withoutPassword(databaseUrl) : databaseUrl;
    const ready: ReadyFile = { ...addressesOf(ports), ...tokens, temporalAddress, databaseUrl: shownUrl, pid: process.pid };
    const token = tokens.adminToken ?? options.config.token;
    if (options.resourcesDirectory !== undefined && token !== undefined)
      undo.add(await watchResources({ directory: options.resourcesDirectory, config: options.config, ready, token, onLine }));
    signal?.throwIfAborted();
    announce(ready, [folder.readyFile, options.readyFile], undo);
    return { ready, report: parts.report, kill: parts.kill, stop: undo.run };
  } catch (error) {
    await undo.run();
    throw error;
  }
};
