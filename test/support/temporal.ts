import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { pollUntil } from './poll-until.ts';
import { testService } from './test-service.ts';

/**
 * The Temporal server that the tests of one run share; its state is in memory and nobody closes it.
 * Take a task queue and workflow ids of your own per test file.
 */
export const startTestTemporal = async (): Promise<{ address: string; namespace: string }> => ({
  address: await testService('temporal'),
  namespace: 'default',
});

/** A namespace of that server which nobody else has, for tests that count or list the workflows there are. */
export const ownTestNamespace = async (): Promise<{ address: string; namespace: string }> => {
  const address = await testService('temporal');
  const namespace = `own-${randomBytes(6).toString('hex')}`;
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs('1 day') });
    const { workflow } = new Client({ connection, namespace });
    // the server's parts hear of a new namespace one after the other
    await pollUntil(
      () =>
        workflow.count().then(
          () => true,
          () => undefined,
        ),
      `the namespace ${namespace}`,
    );
  } finally {
    await connection.close();
  }
  return { address, namespace };
};
