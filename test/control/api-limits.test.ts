import { afterAll, beforeAll, expect, test } from 'vitest';
import { putRateHold } from '../../store/rate-holds.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken } from '../support/running-gateway.ts';

let place: PolicyPlace;
beforeAll(async () => {
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
});
afterAll(() => place.close());

test('a person sees who is held to fewer calls, and lifts it with a reason: the gateway lets calls through again, and the audit says who did', async () => {
  const token = await place.agentToken('reader');
  const agent = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).act.sub;
  const { database } = place.gateway;
  const hold = { org: 'default', project: 'default', kind: 'Agent', name: agent, callsPerMinute: 1, operationId: 'fix_1/0' } as const;
  await putRateHold(database, hold);
  const code = async (): Promise<string | undefined> => (await place.call(token, 'look', {})).error?.data.code;
  await pollUntil(async () => ((await code()) === 'rate_exhausted' ? true : undefined), 'the gateway to hear of it');

  const limits = '/default/default/reconcile/limits';
  expect((await place.request('GET', limits)).body.limits).toMatchObject([{ kind: 'Agent', name: agent, callsPerMinute: 1 }]);
  const lift = (body: object, more: object = {}) => place.request('POST', `${limits}/lift`, { body, ...more });
  expect((await lift({ kind: 'Agent', name: agent, reason: 'x' }, { token: guestToken })).body.code).toBe('not_permitted');
  expect((await lift({ kind: 'Agent', name: agent, reason: ' ' })).status).toBe(400);
  expect(await lift({ kind: 'McpServer', name: 'counting', reason: 'x' })).toMatchObject({
    ...{ status: 404, body: { detail: expect.stringContaining('`quarterdeck reconcile limits` says who is') } },
  });
  expect(await lift({ kind: 'Agent', name: agent, reason: 'the storm is over' })).toMatchObject({
    status: 200,
    body: { callsPerMinute: 1 },
  });
  await pollUntil(async () => ((await code()) === undefined ? true : undefined), 'calls to go through');
  expect((await place.request('GET', limits)).body.limits).toEqual([]);
  const row = await place.gateway.auditRow(({ facts }) => facts.what === 'lift-limit');
  expect(row).toMatchObject({
    person: 'admin',
    resource: `Agent/${agent}`,
    facts: { reason: 'the storm is over', operationId: 'fix_1/0' },
  });
});
