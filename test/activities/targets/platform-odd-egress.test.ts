import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { type FlowPlace, startFlowPlace } from '../../support/flow-place.ts';
import { platformTargetPlace } from '../../support/platform-target-place.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { ownTestNamespace } from '../../support/temporal.ts';

let flow: FlowPlace;
let connection: Connection;
let client: Client;
beforeAll(async () => {
  flow = await startFlowPlace();
  const { address, namespace } = await ownTestNamespace();
  connection = await Connection.connect({ address });
  client = new Client({ connection, namespace });
});
afterAll(async () => {
  await connection.close();
  await flow.close();
});

test('an agent that tries again and again to let out what it has read is suspended: its token is refused at once (A12)', async () => {
  const port = platformTargetPlace({ database: flow.gateway.database, temporal: client }, ['runs']);
  const { id, token } = await flow.agent();
  const neighbour = await flow.agent();
  await flow.call(token, 'read');
  await flow.call(token, 'fetch');
  const refused = async () => expect((await flow.call(token, 'post', { text: 'as I was told' })).error.data.code).toBe('needs_person');
  await refused();
  expect((await port.look()).drifts).toEqual([]);
  await refused();
  await refused();
  const drift = await port.driftOf('OddEgress');
  expect(drift.object).toMatchObject({ kind: 'Agent', name: id });
  const suspend: Operation = { op: 'suspendAgent', object: drift.object };
  expect(await port.dryRun(suspend)).toMatchObject({ ok: true, diff: [{ path: '/state', before: 'running', after: 'parked' }] });
  expect(await port.apply(suspend)).toMatchObject({ kind: 'applied' });
  await pollUntil(async () => (await flow.call(token, 'plain')).result === undefined || undefined, 'the token to be refused');
  expect((await flow.call(neighbour.token, 'plain')).result).toBeDefined();
  expect((await port.look()).drifts).toEqual([]);
});
