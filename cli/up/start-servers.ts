import { migrateDatabase } from '../../store/database.ts';
import type { DataFolder } from './data-folder.ts';
import type { Keys } from './keys.ts';
import { checkOutsidePostgres, checkOutsideTemporal } from './outside-servers.ts';
import type { PartSet } from './part-set.ts';
import type { PlatformOptions } from './platform-options.ts';
import { postgresPart, temporalPart } from './platform-parts.ts';
import type { Ports } from './ports.ts';
import { ensureDatabase, initialisePostgres, postgresUrl } from './postgres.ts';
import { startTogether } from './start-together.ts';

const databaseName = 'quarterdeck';

/**
 * Starts Postgres and Temporal, or makes sure that those elsewhere answer, and brings the tables to this release.
 * @returns where both are; the URL holds the password
 */
export const startServers = async ({
  folder,
  ports,
  keys,
  options,
  parts,
}: {
  folder: DataFolder;
  ports: Ports;
  keys: Keys;
  options: PlatformOptions;
  parts: PartSet;
}): Promise<{ databaseUrl: string; temporalAddress: string }> => {
  const { config } = options;
  const place = { folder: folder.postgres, port: ports.postgres, password: keys.internal.postgresPassword };
  const databaseUrl = config.databaseUrl ?? postgresUrl(place, databaseName);
  const temporalAddress = config.temporalAddress ?? `127.0.0.1:${ports.temporal}`;

  const startPostgres = async (signal: AbortSignal): Promise<void> => {
    if (config.databaseUrl) await checkOutsidePostgres(databaseUrl, signal);
    else {
      await initialisePostgres(place, signal);
      await parts.start(postgresPart({ folder, ports }, place), signal);
      await ensureDatabase(postgresUrl(place, 'postgres'), databaseName);
    }
    await migrateDatabase(databaseUrl);
  };
  const startTemporal = (signal: AbortSignal): Promise<void> =>
    config.temporalAddress
      ? checkOutsideTemporal({ address: temporalAddress, namespace: config.temporalNamespace }, signal)
      : parts.start(temporalPart({ folder, ports, options }), signal);

  await startTogether([startPostgres, startTemporal], options.signal);
  return { databaseUrl, temporalAddress };
};
