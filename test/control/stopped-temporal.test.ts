import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { PlatformTarget } from '../../activities/targets/platform-context.ts';
import { createPlatformTarget } from '../../activities/targets/platform-target.ts';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { PlatformTargetSchema } from '../../schema/resources/reconcile-target.ts';
import { askForFix } from '../support/ask-for-fix.ts';
import { startOwnTemporal } from '../support/own-temporal.ts';
import { runCli } from '../support/run-cli.ts';
import { type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let server: Awaited<ReturnType<typeof startOwnTemporal>>;
let temporal: ReturnType<typeof createTemporalPort>;
let connection: Connection;
let port: ReturnType<typeof createPlatformTarget>;
let api: RunningApi;
const watch = ['runs', 'workers'] as const;

beforeAll(async () => {
  server = await startOwnTemporal();
  temporal = createTemporalPort({ address: server.address });
  connection = Connection.lazy({ address: server.address });
  api = await startRunningApi({ cedar: true, temporal, targetPorts: { of: () => port as never } });
  port = createPlatformTarget({ database: api.database, temporal: new Client({ connection }) });
}, 120_000);
afterAll(async () => {
  await api?.close();
  await temporal?.close();
  await connection?.close();
  await server?.close();
});

const qd = (...args: string[]) => runCli(args, { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: reviewerToken } });
const object = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'McpServer', namespace: '', name: 'desk' };
const ask = () =>
  askForFix(api.database, { spec: { type: 'platform', watch }, operations: [{ op: 'limitRate', object, callsPerMinute: 30 }] });
/** Looks of the controller, which has patience; how many of them have come to an end. */
const lookOn = (name: string) => {
  const spec = PlatformTargetSchema.parse({ type: 'platform', watch, contact: '+49 30 1234' });
  const target: PlatformTarget = { org: 'default', project: 'default', name, generation: 1, spec };
  const state = { ended: 0 };
  const looks = Array.from({ length: 5 }, () =>
    port.observe(target, new AbortController().signal).then((observation) => {
      state.ended += 1;
      return observation;
    }),
  );
  return { state, looks };
};
beforeEach(async () => {
  const { looks } = lookOn('warm-up');
  for (const look of looks) expect((await look).status, 'Temporal answers').toBe('read');
});
afterEach(() => server.goOn());

test('an approval does not wait for a Temporal that hangs, nor in line behind those who look at the same target', async () => {
  const { approvalId, key } = await ask();
  server.stop();
  const { state, looks } = lookOn(key.target);
  const approved = await qd('approvals', 'approve', approvalId, '--yes');
  expect(approved.stdout, approved.stderr).toBe(`${approvalId} approved\n`);
  expect(approved.stderr, 'who waits is told what for').toContain('one of them does not answer yet');
  expect(state.ended, 'those who looked before it wait still').toBeLessThan(looks.length);
  server.goOn();
  await Promise.all(looks);
}, 60_000);

test('explain says what it waits for, waits for a few seconds, and tells the rest without it', async () => {
  const { key } = await ask();
  server.stop();
  const { state, looks } = lookOn(key.target);
  const { code, stdout, stderr } = await qd('reconcile', 'explain', key.target);
  expect(code).toBe(0);
  expect(stderr).toContain(`What ${key.target} keeps, or Temporal, does not answer yet`);
  expect(stdout).toContain('It cannot be read now (unreachable): It did not answer within 8 seconds. Nothing is done');
  expect(stdout).toContain('Temporal does not answer, so it is not known whether anybody works at it');
  expect(stdout).toContain('a person says yes or no');
  expect(state.ended, 'those who looked before it wait still').toBeLessThan(looks.length);
  server.goOn();
  await Promise.all(looks);
}, 60_000);
