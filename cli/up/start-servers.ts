import { createHmac } from 'node:crypto';
import { migrateDatabase } from '../../store/database.ts';
import { ensureServiceRole } from '../../store/service-role.ts';
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

const noRole =
  'this Postgres does not let us make a role, so processes use the one of DATABASE_URL, and triggers alone keep the audit from being changed; `alter role … createrole` and start again';

/** Made from a key of the installation, so that there is none more to keep. */
const servicePasswordOf = ({ internal }: Keys): string =>
  createHmac('sha256', internal.postgresPassword).update('quarterdeck/service-role').digest('base64url');

/**
 * Starts Postgres and Temporal, or makes sure that those elsewhere answer, and brings the tables to this release.
 * @returns where both are; URLs hold passwords: `databaseUrl` is the owner's, `serviceUrl` that of a role which cannot change the audit
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
}): Promise<{ databaseUrl: string; serviceUrl: string; temporalAddress: string }> => {
  const { config } = options;
  const place = { folder: folder.postgres, port: ports.postgres, password: keys.internal.postgresPassword };
  const databaseUrl = config.databaseUrl ?? postgresUrl(place, databaseName);
  const temporalAddress = config.temporalAddress ?? `127.0.0.1:${ports.temporal}`;

  let serviceUrl: string | undefined;

  const startPostgres = async (signal: AbortSignal): Promise<void> => {
    if (config.databaseUrl) await checkOutsidePostgres(databaseUrl, signal);
    else {
      await initialisePostgres(place, signal);
      await parts.start(postgresPart({ folder, ports }, place), signal);
      await ensureDatabase(postgresUrl(place, 'postgres'), databaseName);
    }
    await migrateDatabase(databaseUrl);
    serviceUrl = await ensureServiceRole(databaseUrl, servicePasswordOf(keys));
    if (serviceUrl === undefined) options.onLine(noRole);
  };
  const startTemporal = (signal: AbortSignal): Promise<void> =>
    config.temporalAddress
      ? checkOutsideTemporal({ address: temporalAddress, namespace: config.temporalNamespace }, signal)
      : parts.start(temporalPart({ folder, ports, options }), signal);

  await startTogether([startPostgres, startTemporal], options.signal);
  return { databaseUrl, serviceUrl: serviceUrl ?? databaseUrl, temporalAddress };
};
