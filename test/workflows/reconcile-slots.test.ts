import { Context } from '@temporalio/activity';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { workflowTypes } from '../../schema/workflow-contract.ts';
import { pollUntil } from '../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../support/reconcile-place.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
vi.setConfig({ testTimeout: 90_000 });
const slots = 3;
const blockedMs = 2_000;
let place: ReconcilePlace;

/** Agents that never come to an end with a step, each in the pool that its name says; one fails at once each time, one keeps the process busy. */
const hanging = { control: 0, model: 0, tool: 0 };
let failures = 0;
let blocks = 0;
const hang = async (pool: keyof typeof hanging): Promise<never> => {
  hanging[pool] += 1;
  const beat = setInterval(() => Context.current().heartbeat(), 500);
  return Context.current().cancelled.finally(() => clearInterval(beat));
};
const activities = {
  openAgent: async ({ agentId }) => {
    if (agentId.startsWith('crash')) {
      failures += 1;
      throw new Error('this agent fails each time');
    }
    if (agentId.startsWith('block')) {
      blocks += 1;
      const endMs = performance.now() + blockedMs;
      while (performance.now() < endMs);
    }
    if (agentId.startsWith('control')) return hang('control');
    return { kind: 'opened', transcriptDigest: '', pendingCalls: agentId.startsWith('tool') ? 1 : 0 } as never;
  },
  callModel: () => hang('model'),
  callTool: () => hang('tool'),
} satisfies Partial<Activities>;

beforeAll(async () => {
  place = await startReconcilePlace({ database: database(), agents: { activities, slots } });
});
afterAll(() => place.close());

test('agents that hang in every slot they have, fail each time or block the process leave the reconciler its own slots', async () => {
  const { workflows, taskQueue, prefix } = place.workers();
  const start = (agentId: string) =>
    workflows.start(workflowTypes.agent, { workflowId: `${prefix}${agentId}`, taskQueue, args: [{ agentId }] });
  const of = (pool: string) => Array.from({ length: slots + 2 }, (_, index) => start(`${pool}-${index}`));
  // those of models and tools first: opening an agent takes a slot of `control`
  const agents = await Promise.all([...of('model'), ...of('tool')]);
  await pollUntil(() => (hanging.model === slots && hanging.tool === slots) || undefined, 'no slot for a model or a tool', 30_000);
  agents.push(await start('crash'), await start('block'));
  await pollUntil(() => (failures > 0 && blocks > 0) || undefined, 'one that fails and one that blocks', 30_000);
  agents.push(...(await Promise.all(of('control'))));
  await pollUntil(() => hanging.control === slots || undefined, 'no slot for rows', 30_000);

  const name = place.newName();
  await place.declare(name);
  place.world.remove(deploymentRef());
  await place.start(name);
  await place.ended(name);
  expect((await place.fixesOf(name)).map(({ state }) => state)).toEqual(['fixed']);
  expect(place.world.effects).toHaveLength(1);
  expect(await place.rowOf(name)).toMatchObject({ phase: 'clean' });
  // what no rule knows is looked into all the same: here no role is named, so people are asked
  const other = place.newName();
  await place.declare(other, { manifests: [deploymentManifest('odd')] });
  place.world.judgeBy(() => ({ health: 'degraded', symptoms: [{ code: 'Odd', message: '', count: 1 }] }));
  await place.start(other);
  await place.ended(other);
  expect((await place.fixesOf(other)).map(({ state }) => state)).toEqual(['asked']);
  expect(hanging, 'nobody has given up a slot meanwhile').toEqual({ control: slots, model: slots, tool: slots });
  await Promise.all(agents.map((agent) => agent.terminate().catch(() => undefined)));
});
