import { afterAll, beforeAll, expect, test } from 'vitest';
import { snapshotOf } from '../activities/run-fixture.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken } from '../support/running-gateway.ts';

let place: PolicyPlace;

beforeAll(async () => {
  place = await startPolicyPlace({
    flow: { tools: { look: { secrecy: 2, sink: false }, act: { sink: true, source: false } } },
    resources: [
      {
        kind: 'AccessBinding',
        metadata: { name: 'readers' },
        spec: { subjects: [{ agentRole: 'reader' }, { group: 'guests' }], toolsets: ['counting'] },
      },
    ],
  });
});
afterAll(() => place.close());

/** A run whose agent has read secrets. */
const readingRun = async () => {
  const { id, runId } = await place.gateway.addAgent({ role: 'reader' });
  await place.database.$client.query('update runs set snapshot = $1 where id = $2', [JSON.stringify(snapshotOf()), runId]);
  const token = await place.gateway.mint(id, `${place.gateway.publicUrl}/mcp/default/default/counting`);
  await place.call(token, 'look');
  expect((await place.call(token, 'act')).error.data.code).toBe('needs_person');
  return { id, runId, token };
};

test('a run shows what it carries and from where, and a person who may releases it, on record with the reason', async () => {
  const { id, runId, token } = await readingRun();
  const shown = await place.qd(['run', 'show', runId]);
  expect(shown.stdout).toContain(
    'carries  confidential (2) from default/default/counting/tool/look; untrusted content from default/default/counting/tool/look',
  );
  expect(shown.stdout).toMatch(/Carried\n {2}read\/reader\/0: confidential \(2\) from/);
  const json = JSON.parse((await place.qd(['run', 'show', runId, '-o', 'json'])).stdout);
  expect(json.label).toMatchObject({ secrecy: 2, tainted: true });
  expect(json.agents[0].label.sources).toEqual([{ from: 'default/default/counting/tool/look', secrecy: 2, tainted: true }]);

  const refused = await place.qd(['run', 'release', runId, '--reason', 'because'], guestToken);
  expect(refused.code, refused.stderr).toBe(4);
  expect((await place.call(token, 'act')).error.data.code).toBe('needs_person');

  const released = await place.qd(['run', 'release', runId, '--reason', 'the record is public since May', '--agent', 'read/reader/0']);
  expect(released.code, released.stderr).toBe(0);
  expect(released.stdout).toContain(`agent:${id}: released confidential (2)`);
  expect((await place.call(token, 'act')).result).toBeDefined();
  const rows = await place.gateway.audit({ action: 'releaseLabel' });
  expect(rows.find(({ kind }) => kind === 'change')).toMatchObject({
    person: 'admin',
    agent: id,
    run: runId,
    policies: ['platform/administrators'],
    facts: { reason: 'the record is public since May', label: { secrecy: 2, tainted: true } },
  });
  expect(rows.find(({ kind }) => kind === 'refusal')).toMatchObject({ person: 'guest', decision: 'deny' });
  expect((await place.qd(['run', 'show', runId])).stdout).not.toContain('carries');

  // what is read from now on is carried again
  await pollUntil(async () => {
    await place.call(token, 'look');
    return (await place.call(token, 'act')).error?.data.code === 'needs_person' || undefined;
  }, 'the label to rise again');
});

test('what a person has read by one of their clients is released by the name that the refusal gives', async () => {
  await place.call(guestToken, 'look');
  const { error } = await place.call(guestToken, 'act', { path: '/x' });
  const [, client = ''] = /The client (\S+) carries: confidential/.exec(error.message) ?? [];
  expect(client).toBe('token:guest/guest-token');
  const released = await place.qd(['run', 'release', client, '--reason', 'looked at']);
  expect(released.stdout).toContain(`${client}: released confidential (2)`);
  expect((await place.call(guestToken, 'act', { path: '/x' })).result).toBeDefined();
  const rows = await place.gateway.audit({ action: 'releaseLabel' });
  expect(rows.find(({ resource }) => resource === client)).toMatchObject({ kind: 'change', person: 'admin' });
});

test('what cannot be released is said: a run that is not there, an agent of another, no reason', async () => {
  const { runId } = await readingRun();
  expect((await place.qd(['run', 'release', 'run_0000000000000000', '--reason', 'x'])).stderr).toContain('There is no run');
  expect((await place.qd(['run', 'release', runId, '--reason', 'x', '--agent', 'read/reader/9'])).stderr).toContain('no agent of the run');
  expect((await place.qd(['run', 'release', runId])).code).toBe(2);
  expect((await place.request('POST', `/default/default/runs/${runId}/release`, { body: { reason: ' ' } })).status).toBe(400);
});
