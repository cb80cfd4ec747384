import { expect, test } from 'vitest';
import { makePlan } from '../../reconcile/make-plan.ts';
import type { ApplyContext, TargetOf } from '../../reconcile/target-port.ts';
import type { Precondition } from '../../schema/reconcile/plan.ts';
import { KubernetesTargetSchema } from '../../schema/resources/reconcile-target.ts';
import { createMemoryTarget } from './memory-target.ts';
import { createMemoryWorld, hashOf } from './memory-world.ts';
import { deploymentManifest, deploymentRef } from './reconcile-place.ts';
import { targetContract } from './target-contract.ts';

const signal = AbortSignal.timeout(60_000);
const place = () => {
  const world = createMemoryWorld();
  const target = {
    ...{ org: 'default', project: 'default', name: 'shop', generation: 1 },
    spec: KubernetesTargetSchema.parse({ type: 'kubernetes', namespace: 'shop', manifests: [deploymentManifest()] }),
  } satisfies TargetOf;
  const kept = new Map<string, unknown>();
  const context = (operationId: string, precondition: Precondition = { kind: 'none' }, holds = true): ApplyContext => ({
    ...{ operationId, precondition, signal },
    holdsFence: async () => holds,
    readState: async (digest) => kept.get(digest),
  });
  return { world, target, kept, context, port: createMemoryTarget(world) };
};
const reapply = { op: 'reapply', object: deploymentRef() } as const;

targetContract('the adapter in memory keeps what a target promises', async () => {
  const { world, target, port } = place();
  world.put(deploymentRef(), target.spec.manifests[0], { manager: 'quarterdeck', isOurs: true });
  let edits = 0;
  return {
    ...{ port, target },
    operation: { op: 'scale', object: deploymentRef(), replicas: 3 },
    senseless: { op: 'refreshTools', object: deploymentRef() },
    edit: async () => {
      edits += 1;
      world.edit(deploymentRef(), (state) => {
        state.spec.minReadySeconds = edits;
      });
    },
    writes: async () => world.effects.length,
    goAway: async () => {
      world.faults.isAway = true;
      return async () => {
        world.faults.isAway = false;
      };
    },
    loseAnswer: () => {
      world.faults.apply = (moment) => {
        if (moment === 'after') throw new Error('reset');
      };
      return () => {
        world.faults.apply = undefined;
      };
    },
  };
});

test('one operation id has one effect, also where its answer was lost', async () => {
  const { world, target, context, port } = place();
  world.faults.apply = (moment) => {
    if (moment === 'after') throw new Error('reset');
  };
  expect(await port.apply(target, reapply, context('one', { kind: 'absent' }))).toMatchObject({ kind: 'unknown' });
  world.faults.apply = undefined;
  expect(await port.apply(target, reapply, context('one', { kind: 'absent' }))).toMatchObject({ kind: 'applied' });
  expect(world.effects).toEqual(['one']);
});

test('a write holds its precondition and its fence, and a dry-run changes nothing', async () => {
  const { world, target, context, port } = place();
  expect(await port.dryRun(target, reapply, signal)).toMatchObject({ ok: true });
  expect(await port.apply(target, reapply, context('a', { kind: 'absent' }, false))).toMatchObject({ kind: 'failed', reason: 'fenced' });
  expect(world.list()).toEqual([]);
  await port.apply(target, reapply, context('b', { kind: 'absent' }));
  const seen = world.find(deploymentRef());
  if (!seen) throw new Error('it was not made');
  const { version, hash, uid } = seen;
  world.edit(deploymentRef(), (state) => {
    state.spec.replicas = 7;
  });
  const outcome = await port.apply(target, reapply, context('c', { kind: 'version', version, hash, uid }));
  expect(outcome).toMatchObject({ kind: 'failed', reason: 'precondition' });
  expect(world.stateOf(deploymentRef()).spec.replicas).toBe(7);
});

test('what was done is undone exactly out of the kept state, and what was made is removed by its uid', async () => {
  const { world, target, kept, context, port } = place();
  await port.apply(target, reapply, context('a'));
  const observation = await port.observe(target, signal);
  const desired = await port.desired(target, signal);
  const drift = { kind: 'unhealthy', object: deploymentRef(), fields: [], symptoms: [], fingerprint: 'f', faultKind: 'k' } as const;
  const scale = { op: 'scale', object: deploymentRef(), replicas: 1 } as const;
  const operations = [scale];
  const source = { kind: 'person', person: 'ada' } as const;
  const made = makePlan({
    target,
    drift: { ...drift, fields: [], symptoms: [] },
    operations,
    source,
    evidenceDigest: '',
    desired,
    observation,
    digest: hashOf,
  });
  if (!made.ok) throw new Error('no plan');
  for (const { digest, state } of made.kept) kept.set(digest, state);
  const before = world.text();
  await port.apply(target, scale, context('b'));
  expect(world.text()).not.toBe(before);
  const stateDigest = made.plan.steps[0]?.undo.stateDigest ?? '';
  await port.apply(target, { op: 'restore', object: deploymentRef(), stateDigest }, context('c'));
  expect(world.text()).toBe(before);
  const uid = world.find(deploymentRef())?.uid ?? '';
  expect(await port.apply(target, { op: 'remove', object: deploymentRef(), uid: 'other' }, context('d'))).toMatchObject({ kind: 'failed' });
  expect(await port.apply(target, { op: 'remove', object: deploymentRef(), uid }, context('e'))).toMatchObject({ kind: 'applied' });
  expect(world.list()).toEqual([]);
});

test('what cannot be read is unknown, never missing', async () => {
  const { world, target, port } = place();
  world.faults.observe = () => ({ status: 'unknown', at: '', reason: 'throttled', message: '429' });
  expect(await port.observe(target, signal)).toMatchObject({ status: 'unknown' });
});
