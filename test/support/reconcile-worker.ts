import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import pino from 'pino';
import { createActivities, createGatewayClient } from '../../activities/index.ts';
import { createKubernetesTarget } from '../../activities/targets/kubernetes-target.ts';
import { taskQueues } from '../../schema/workflow-contract.ts';
import { openDatabase } from '../../store/database.ts';
import { createCrashPoints } from './crash-points.ts';
import { contentsOf, createReconcileParts } from './reconcile-parts.ts';
import { remoteTarget } from './remote-target.ts';

/** What the process is told as its only argument, as JSON. */
export type ReconcileWorkerOptions = {
  databaseUrl: string;
  temporalAddress: string;
  prefix: string;
  /** Where the system is that it keeps; without it the clusters that targets name. */
  targetUrl?: string;
  /** File with the bundle of workflows. */
  bundle: string;
  /** Where models and tools are reached; without it none can be. */
  gatewayUrl?: string;
  /** Whom it asks at each point whether it goes on, and for tokens. */
  control?: string;
  /** So far its clock is ahead. */
  clockOffsetMs?: number;
};

/** A worker of the reconciler as a process of its own, to be killed. */
const run = async (options: ReconcileWorkerOptions): Promise<void> => {
  const { databaseUrl, temporalAddress: address, prefix, targetUrl, bundle, gatewayUrl = 'http://127.0.0.1:9', control } = options;
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });
  const points = control === undefined ? undefined : createCrashPoints(control);
  const opened = openDatabase({ url: databaseUrl, max: 10, name: 'worker' });
  const database = points?.database(opened) ?? opened;
  const [connection, clientConnection] = await Promise.all([NativeConnection.connect({ address }), Connection.connect({ address })]);
  const remote = targetUrl === undefined ? createKubernetesTarget({ secrets: { environment: {} } }) : remoteTarget(targetUrl);
  const clock = (): Date => new Date(Date.now() + (options.clockOffsetMs ?? 0));
  const { collaborators } = createReconcileParts({ database, target: points?.port(remote) ?? remote, clock });
  const tokenFor = async (agentId: string, audience: string): Promise<string> =>
    control === undefined ? '' : (await fetch(`${control}/token`, { method: 'POST', body: JSON.stringify({ agentId, audience }) })).text();
  const client = createGatewayClient({ gatewayUrl, tokens: { tokenFor, forget: () => undefined } });
  const gateway = points?.gateway(client) ?? client;
  const contents = points?.contents(contentsOf(database)) ?? contentsOf(database);
  const workflows = new Client({ connection: clientConnection }).workflow;
  const logger = pino({ level: 'silent' });
  const made = createActivities({ database, contents, gateway, workflows, logger, reconcile: collaborators });
  const activities = points?.activities(made) ?? made;
  const shared = { connection, activities, maxHeartbeatThrottleInterval: '500ms', maxConcurrentActivityTaskExecutions: 300 } as const;
  const workers = await Promise.all([
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.control}`, workflowBundle: { codePath: bundle } }),
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.diagnosis}` }),
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.apply}` }),
  ]);
  process.stdout.write('ready\n');
  await Promise.all(workers.map((worker) => worker.run()));
};

await run(JSON.parse(process.argv[2] ?? '{}'));
