import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../gateway/mcp/message.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { getApproval } from '../../store/approvals.ts';
import { decideApproval } from '../../store/decide-approval.ts';
import { applyResources, deleteResource } from '../../store/resources.ts';
import { approvalEvent } from '../support/ask-approval.ts';
import { openAuditLog } from '../support/audit-log.ts';
import { startFixtureReplicas } from '../support/fixture-replicas.ts';
import { pollUntil } from '../support/poll-until.ts';
import { parsed } from '../support/running-gateway.ts';
import { errorOf, resultOf, type SurfaceReplica, withTasks } from '../support/surface-replica.ts';

let fixtures: Awaited<ReturnType<typeof startFixtureReplicas>>;
beforeAll(async () => {
  fixtures = await startFixtureReplicas();
});
afterAll(() => fixtures.close());

const replica = (index = 0): SurfaceReplica => fixtures.replicas[index] as SurfaceReplica;
const call = (args: JsonObject) => replica().call('slow_compute', args, { toolset: 'modern', capabilities: withTasks });
const get = (taskId: unknown, at: number) =>
  replica(at).handle({ method: 'tasks/get', params: { taskId }, toolset: 'modern', capabilities: withTasks });
const asks = `@id("ask") @approve("role:reviewer") forbid (principal, action == Quarterdeck::Action::"callTool", resource) unless { context.approvedCall };`;
const notRita = `@id("not-rita") forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.approvers.contains(Quarterdeck::User::"default/rita") };`;
const apply = (name: string, cedar: string) =>
  applyResources(replica().database, parsed({ kind: 'PolicySet', metadata: { name }, spec: { cedar } }));

test('an approved call that goes on as a task hands its outcome over at every replica, as long as its approvers are accepted', async () => {
  await apply('asking', asks);
  const args = { seconds: 1, label: 'approved' };
  const refused = await pollUntil(async () => {
    const reply = await call(args);
    return reply.kind === 'error' ? errorOf(reply) : undefined;
  }, 'the policy');
  const { approvalId: id } = refused.data as { approvalId: string };
  const key = { ...defaultTenancy, id };
  const { digest, rules } = await getApproval(replica().database, key);
  const answer = {
    person: 'rita',
    verdict: 'approve' as const,
    digest,
    policies: rules.map(({ policy }) => policy),
    stamp: 't',
    comment: null,
  };
  await decideApproval(
    replica().database,
    openAuditLog(replica().database),
    key,
    { ...answer, decisionId: 'dec_r' },
    approvalEvent('approve'),
    { mayApproveOwn: false },
  );

  const { taskId } = resultOf(await call(args));
  expect(taskId).toMatch(/^task_/);
  for (const at of [0, 1]) {
    const task = await pollUntil(async () => {
      const found = resultOf(await get(taskId, at));
      return found.status === 'completed' ? found : undefined;
    }, 'the task to end');
    expect(JSON.stringify(task.result)).toContain('done');
  }
  await apply('picky', notRita);
  await pollUntil(async () => (await get(taskId, 1)).kind === 'error' || undefined, 'the stricter policy');
  expect(errorOf(await get(taskId, 1))).toMatchObject({ data: { code: 'argument_refused', rule: 'policyset/picky/not-rita' } });
  for (const name of ['asking', 'picky']) await deleteResource(replica().database, { ...defaultTenancy, kind: 'PolicySet', name });
});
