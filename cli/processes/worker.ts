import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { createActivities, createFileProofs, createGatewayClient, createJoinedProofs, createRunTokens } from '../../activities/index.ts';
import type { ProcessReport } from '../../schema/process-report.ts';
import { taskQueues } from '../../schema/workflow-contract.ts';
import { createContentStore } from '../../store/contents.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { followOrders } from '../../store/follow-orders.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { askForJoinToken } from './ask-join-token.ts';
import type { RunningProcess } from './messages.ts';
import type { ProcessConfigs } from './process-configs.ts';
import { openReconcilePool } from './reconcile-pool.ts';
import { routeTemporalLogs } from './temporal-logs.ts';

const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** Work that is under way gets this long to end, then its next try goes to whoever is there; the supervisor waits a little longer. */
const shutdown = { shutdownGraceTime: '500ms', shutdownForceTime: '1500ms' } as const;

/** A model takes its time and little of ours; what touches rows is kept to about the size of the pool. */
const concurrency = { control: 20, model: 100, tool: 100, apply: 10 } as const;

/**
 * The workflows and the activities, on a task queue for each kind of work. It holds no credential of a provider or a tool: each call
 * goes through the gateway with a token of the agent that makes it. The queue `apply`, where targets are seen and changed, is served where it
 * is told how.
 */
export const startWorkerProcess = async (config: ProcessConfigs['worker'], logger: Logger): Promise<RunningProcess> => {
  const temporalLogger = routeTemporalLogs(logger);
  const { temporalAddress: address, temporalNamespace: namespace } = config;
  const [workflowBundle, connection, clientConnection] = await Promise.all([
    bundleWorkflowCode({ workflowsPath, logger: temporalLogger }),
    NativeConnection.connect({ address }),
    Connection.connect({ address }),
  ]);
  const database = openDatabase({ url: config.databaseUrl, max: 20, name: 'worker' });
  const { issuerUrl, proof } = config;
  const proofs = proof ? createFileProofs(proof) : createJoinedProofs({ issuerUrl, joinToken: askForJoinToken });
  const tokens = createRunTokens({ issuerUrl, proofs });
  const temporal = new Client({ connection: clientConnection, namespace });
  const contents = createContentStore(database, deriveContentKeys(config.contentKey, 'content'));
  const gateway = createGatewayClient({ gatewayUrl: config.gatewayUrl, tokens });
  const shared = { database, contents, gateway };
  const pools = config.pools ?? (['control', 'model', 'tool', 'apply'] as const);
  const pool =
    config.apply && pools.includes('apply')
      ? await openReconcilePool(config.apply, { ...shared, temporal, logger: logger.child({ part: 'apply' }) })
      : undefined;
  const activities = createActivities({
    ...shared,
    ...(pool ? { reconcile: pool.reconcile } : {}),
    workflows: temporal.workflow,
    logger,
  });
  const create = (kind: keyof typeof concurrency, more: Partial<WorkerOptions> = {}): Promise<Worker> =>
    Worker.create({
      connection,
      namespace,
      activities,
      taskQueue: taskQueues[kind],
      maxConcurrentActivityTaskExecutions: concurrency[kind],
      maxHeartbeatThrottleInterval: '2s', // a call hears of its cancellation with a heartbeat
      ...shutdown,
      ...more,
    });
  const workers = await Promise.all([
    ...(pools.includes('control') ? [create('control', { workflowBundle })] : []),
    ...(pools.includes('model') ? [create('model')] : []),
    ...(pools.includes('tool') ? [create('tool')] : []),
    ...(pool ? [create('apply')] : []),
  ]);
  const orders = followOrders<Extract<ProcessReport, { process: 'worker' }>>({
    database,
    instance: `worker/${randomUUID()}`,
    report: () => ({
      process: 'worker',
      queues: workers.filter((each) => each.getState() === 'RUNNING').map(({ options }) => options.taskQueue),
    }),
    // nothing is asked of workers: a supervisor starts them anew
    carryOut: async () => undefined,
    logger,
  });
  // A worker that ends by itself has lost its server for good: that ends the process, and the supervisor starts another.
  const running = Promise.all(workers.map((worker) => worker.run()));
  return {
    close: async () => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await running.catch(() => undefined);
      await pool?.close();
      await orders.close();
      await connection.close();
      await clientConnection.close();
      await closeDatabase(database);
    },
  };
};
