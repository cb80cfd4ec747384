import pino from 'pino';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { startController } from '../../control/controller/start-controller.ts';
import type { TargetPort } from '../../reconcile/target-port.ts';
import { openDatabase } from '../../store/database.ts';
import { watchDeclared } from '../../store/watch-declared.ts';
import { openAuditLog } from './audit-log.ts';
import { contentsOf } from './reconcile-parts.ts';
import { remoteTarget } from './remote-target.ts';

/** What the process is told as its only argument, as JSON. `name` is that of its connections to the database. */
export type ReconcileControllerOptions = { databaseUrl: string; temporalAddress: string; targetUrl: string; name: string };

/** A controller as a process of its own, to be one of several and to be killed: it leads or waits, watches, looks, sweeps and starts workflows. */
const run = async ({ databaseUrl, temporalAddress: address, targetUrl, name }: ReconcileControllerOptions): Promise<void> => {
  const database = openDatabase({ url: databaseUrl, max: 6, name });
  const logger = pino({ level: 'silent' });
  const contents = contentsOf(database);
  const controller = startController({
    ...{ database, contents, logger, digest: contents.digestOf },
    audit: openAuditLog(database, 'control'),
    temporal: createTemporalPort({ address }),
    ports: { of: () => remoteTarget(targetUrl) as TargetPort },
    clock: () => new Date(),
    intervalMs: 500,
  });
  await watchDeclared({ database, logger, onChange: controller.take });
  process.stdout.write('ready\n');
};

await run(JSON.parse(process.argv[2] ?? '{}'));
