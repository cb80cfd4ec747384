import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';
import { taskQueues } from '../../schema/workflow-contract.ts';
import { startTestTemporal } from '../support/temporal.ts';

Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined) });

export type TestWorkers = Awaited<ReturnType<typeof startWorkers>>;

/** The workflows as workers bundle them, made once for a file of tests. */
export const bundleWorkflows = () =>
  bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: new DefaultLogger('ERROR', () => undefined),
  });

/**
 * Real workers on a real server, on task queues of their own: one for workflows and rows, one for models, one for tools, two for targets.
 * @param makeActivities - gets the client by which shards are started
 * @param prefix - of the task queues, for workers that take over from others
 * @param options.agentSlots - activities at once in each pool that serves agents
 * @param options.server - the one that all tests share when absent
 */
export const startWorkers = async (
  workflowBundle: { code: string },
  makeActivities: (workflows: Client['workflow']) => Partial<Activities>,
  prefix = `test-${randomBytes(4).toString('hex')}-`,
  { agentSlots, server }: { agentSlots?: number; server?: { address: string; namespace: string } } = {},
) => {
  const { address, namespace } = server ?? (await startTestTemporal());
  const connection = await NativeConnection.connect({ address });
  const clientConnection = await Connection.connect({ address });
  const { workflow: workflows } = new Client({ connection: clientConnection, namespace });
  const activities = makeActivities(workflows);
  const shared = { connection, namespace, activities, maxHeartbeatThrottleInterval: '500ms', shutdownForceTime: '5s' } as const;
  const ofAgents = { ...shared, ...(agentSlots === undefined ? {} : { maxConcurrentActivityTaskExecutions: agentSlots }) };
  const workers = await Promise.all([
    Worker.create({ ...ofAgents, taskQueue: `${prefix}${taskQueues.control}`, workflowBundle }),
    Worker.create({ ...ofAgents, taskQueue: `${prefix}${taskQueues.model}` }),
    Worker.create({ ...ofAgents, taskQueue: `${prefix}${taskQueues.tool}` }),
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.apply}` }),
    Worker.create({ ...shared, taskQueue: `${prefix}${taskQueues.diagnosis}` }),
  ]);
  const running = workers.map((worker) => worker.run());
  return {
    workflows,
    prefix,
    taskQueue: `${prefix}${taskQueues.control}`,
    close: async (): Promise<void> => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.allSettled(running);
      await connection.close();
      await clientConnection.close();
    },
  };
};

/** A client of a server on which others work: what `startWorkers` gives, without workers. @param address - of the server */
export const startClient = async (address: string, prefix: string): Promise<TestWorkers> => {
  const connection = await Connection.connect({ address });
  const { workflow: workflows } = new Client({ connection });
  return { workflows, prefix, taskQueue: `${prefix}${taskQueues.control}`, close: () => connection.close() };
};
