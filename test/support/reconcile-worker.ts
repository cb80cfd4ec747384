import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import pino from 'pino';
import { createActivities, createGatewayClient } from '../../activities/index.ts';
import { taskQueues } from '../../schema/workflow-contract.ts';
import { openDatabase } from '../../store/database.ts';
import { contentsOf, createReconcileParts } from './reconcile-parts.ts';
import { remoteTarget } from './remote-target.ts';

/** What the process is told as its only argument, as JSON. */
export type ReconcileWorkerOptions = {
  databaseUrl: string;
  temporalAddress: string;
  prefix: string;
  targetUrl: string;
  /** File with the bundle of workflows. */
  bundle: string;
};

/** A worker of the reconciler as a process of its own, to be killed. */
const run = async ({ databaseUrl, temporalAddress: address, prefix, targetUrl, bundle }: ReconcileWorkerOptions): Promise<void> => {
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
  const database = openDatabase({ url: databaseUrl, max: 10, name: 'worker' });
  const [connection, clientConnection] = await Promise.all([NativeConnection.connect({ address }), Connection.connect({ address })]);
  const { collaborators } = createReconcileParts({ database, target: remoteTarget(targetUrl) });
  const gateway = createGatewayClient({
    gatewayUrl: 'http://127.0.0.1:9',
    tokens: { tokenFor: async () => '', forget: () => undefined },
  });
  const workflows = new Client({ connection: clientConnection }).workflow;
  const logger = pino({ level: 'silent' });
  const activities = createActivities({ database, contents: contentsOf(database), gateway, workflows, logger, reconcile: collaborators });
  const shared = { connection, activities, maxHeartbeatThrottleInterval: '500ms' } as const;
  const workers = await Promise.all([
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.control}`, workflowBundle: { codePath: bundle } }),
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.diagnosis}` }),
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.apply}` }),
  ]);
  process.stdout.write('ready\n');
  await Promise.all(workers.map((worker) => worker.run()));
};

await run(JSON.parse(process.argv[2] ?? '{}'));
