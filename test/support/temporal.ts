import { testService } from './test-service.ts';

/**
 * The Temporal server that the tests of one run share; its state is in memory and nobody closes it.
 * Take a task queue and workflow ids of your own per test file.
 */
export const startTestTemporal = async (): Promise<{ address: string; namespace: string }> => ({
  address: await testService('temporal'),
  namespace: 'default',
});
