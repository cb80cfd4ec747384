import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedPeople } from '../../store/people.ts';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';

let place: PolicyPlace;
let ada: string;
let rita: string;

beforeAll(async () => {
  place = await startPolicyPlace({
    profile: 'production',
    flow: { tools: { look: { secrecy: 2, sink: false }, act: { sink: true, source: false } } },
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
  });
  await seedPeople(place.database, 'default', [
    { id: 'ada', groups: [], roles: ['administrator'] },
    { id: 'rita', groups: [], roles: ['reviewer'] },
  ]);
  [ada, rita] = [await place.login('ada'), await place.login('rita')];
});
afterAll(() => place.close());

const readingRun = async () => {
  const { id, runId } = await place.gateway.addAgent({ role: 'reader' });
  const token = await place.gateway.mint(id, `${place.gateway.publicUrl}/mcp/default/default/counting`);
  await place.call(token, 'look');
  const mayPost = async (): Promise<boolean> => (await place.call(token, 'act', { path: `/${runId}` })).result !== undefined;
  expect(await mayPost()).toBe(false);
  const ask = async (reason = 'public since May') =>
    place.request('POST', `/default/default/runs/${runId}/release`, { body: { reason }, token: ada });
  const answer = async (verdict: 'approve' | 'deny', { approvalId, digest }: { approvalId: string; digest: string }, token = rita) =>
    place.request('POST', `/default/default/approvals/${approvalId}/${verdict}`, { body: { digest }, token });
  return { id, runId, token, mayPost, ask, answer };
};
const rowsOf = async (run: string) => (await place.gateway.audit({ action: 'releaseLabel' })).filter((row) => row.run === run);

test('a release waits for another person, who sees what is carried and why, and approves exactly that, once', async () => {
  const run = await readingRun();
  const { status, body: asked } = await run.ask();
  expect(status).toBe(202);
  expect(await run.mayPost()).toBe(false);
  // whoever asks for the same again finds the same
  expect((await run.ask()).body.approvalId).toBe(asked.approvalId);

  const shown = await place.qd(['approvals', 'show', asked.approvalId], rita);
  expect(shown.code, shown.stderr).toBe(0);
  for (const piece of [`labels of ${run.runId}`, 'ada', asked.digest, 'public since May', 'default/default/counting/tool/look', '(in 2'])
    expect(shown.stdout).toContain(piece);

  expect((await run.answer('approve', asked, ada)).body.code).toBe('not_permitted');
  expect((await run.answer('approve', asked, await place.login('rita', 360))).body.code).toBe('login_stale');
  expect((await run.answer('approve', { ...asked, digest: '0'.repeat(64) })).body.code).toBe('conflict');
  expect(await run.mayPost()).toBe(false);

  const answers = await Promise.all(Array.from({ length: 20 }, () => run.answer('approve', asked)));
  expect(answers.some(({ body }) => body.state === 'consumed')).toBe(true);
  expect(await run.mayPost()).toBe(true);
  const rows = await rowsOf(run.runId);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    kind: 'change',
    person: 'rita',
    agent: run.id,
    facts: { reason: 'public since May', approval: asked.approvalId, askedBy: 'ada', label: { secrecy: 2, tainted: true } },
  });
});

test('what is read after it was asked for is not released by it: the approval is void, and it is asked for again', async () => {
  const run = await readingRun();
  const { body: asked } = await run.ask();
  await place.database.$client.query('update flow_labels set secrecy = 3 where subject = $1', [`agent:${run.id}`]);
  expect(await run.answer('approve', asked)).toMatchObject({ status: 409, body: { code: 'conflict' } });
  expect(await run.mayPost()).toBe(false);
  const { body: again } = await run.ask();
  expect(again.approvalId).not.toBe(asked.approvalId);
  expect((await run.answer('approve', again)).body.state).toBe('consumed');
  expect(await run.mayPost()).toBe(true);
});

test('one deny ends it, and time alone releases nothing', async () => {
  const run = await readingRun();
  const { body: asked } = await run.ask();
  expect((await run.answer('deny', asked)).body.state).toBe('denied');
  expect((await run.answer('approve', asked)).status).toBeGreaterThanOrEqual(400);
  const { body: other } = await run.ask('another reason');
  await place.database.$client.query(`update approvals set expires_at = now() - interval '1 second' where id = $1`, [other.approvalId]);
  expect((await run.answer('approve', other)).body.code).toBe('approval_expired');
  expect(await run.mayPost()).toBe(false);
  expect(await rowsOf(run.runId)).toEqual([]);
});

test('who asked for it and may not release any more releases nothing', async () => {
  const run = await readingRun();
  const { body: asked } = await run.ask();
  await place.database.$client.query(`update people set roles = '{}' where id = 'ada'`);
  try {
    expect((await run.answer('approve', asked)).body.code).toBe('not_permitted');
  } finally {
    await place.database.$client.query(`update people set roles = '{administrator}' where id = 'ada'`);
  }
  expect(await run.mayPost()).toBe(false);
});

test('the command says that it waits, and for whom, with the exit code of that', async () => {
  const run = await readingRun();
  const asked = await place.qd(['run', 'release', run.runId, '--reason', 'because'], ada);
  expect(asked.code, asked.stderr).toBe(5);
  expect(asked.stderr).toContain('it waits for role:administrator or role:reviewer');
  expect(asked.stderr).toContain('quarterdeck approvals approve apr_');
});
