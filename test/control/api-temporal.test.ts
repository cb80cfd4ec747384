import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/gateway/free-port.ts';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { fleetWorkflowId } from '../../schema/ids.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { testService } from '../support/test-service.ts';

let address: string;
let port: ReturnType<typeof createTemporalPort>;
beforeAll(async () => {
  address = await testService('temporal');
  port = createTemporalPort({ address });
});
afterAll(() => port.close());

const key = (runId: string) => ({ org: 'default', project: 'default', fleet: 'survey', runId });

test('starts a fleet once, however often it is asked', async () => {
  const input = { ...key('run_once000000000000'), attempt: 1 };
  await port.startFleet(input);
  await port.startFleet(input);
  const connection = await Connection.connect({ address });
  try {
    const described = await new Client({ connection }).workflow.getHandle(fleetWorkflowId(input)).describe();
    expect(described).toMatchObject({ type: 'fleet', taskQueue: 'control', status: { name: 'RUNNING' } });
    expect(described.historyLength).toBe(2);
  } finally {
    await connection.close();
  }
});

test('cancels a fleet that runs, and says when there is none', async () => {
  const input = { ...key('run_cancel0000000000'), attempt: 1 };
  await port.startFleet(input);
  expect(await port.cancelFleet(input)).toBe('requested');
  expect(await port.cancelFleet(input)).toBe('requested');
  expect(await port.cancelFleet(key('run_nothing000000000'))).toBe('gone');
});

test('says that Temporal does not answer, as something that may pass', async () => {
  const away = createTemporalPort({ address: `127.0.0.1:${await freePort()}` });
  try {
    await expect(away.startFleet({ ...key('run_away000000000000'), attempt: 1 })).rejects.toMatchObject({
      code: 'store_unavailable',
      isRetryable: true,
    });
  } finally {
    await away.close();
  }
});

test('says so within seconds of one that hangs with its connections open', async () => {
  const wire = await startTcpSwitch(Number(address.split(':')[1]));
  const hanging = createTemporalPort({ address: `127.0.0.1:${wire.port}` });
  try {
    expect(await hanging.tellAgent({ agent: 'nobody', approvalId: 'none' })).toBe('gone');
    wire.hang();
    const begun = performance.now();
    await expect(hanging.tellAgent({ agent: 'nobody', approvalId: 'none' })).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(performance.now() - begun).toBeLessThan(20_000); // a minute, where each try has a deadline of its own
  } finally {
    await hanging.close();
    await wire.close();
  }
});
