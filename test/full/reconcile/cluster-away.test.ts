import { expect, test } from 'vitest';
import { createKubernetesTarget } from '../../../activities/targets/kubernetes-target.ts';
import { useClusterReconcilePlace } from '../../support/cluster-reconcile-place.ts';
import type { Fault } from '../../support/kube-fault-proxy.ts';
import { applying, deployment, kubernetesTarget, refOf } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { useTestDatabase } from '../../support/store-database.ts';

const { database } = useTestDatabase();
const loop = useClusterReconcilePlace(database);

const minutes = 10;
const intervalSeconds = 20;
const manifests = [deployment(), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { level: 'info' } }];
let turn = 0;
const half = (): Fault => {
  turn += 1;
  return turn % 2 ? { status: 503 } : 'pass';
};

test.each([
  ['is down', (): Fault => 'cut'],
  ['answers every second request with 503', half],
  ['throttles', (): Fault => ({ status: 429, retryAfterSeconds: 1 })],
])(
  'an API server that %s for ten minutes: unknown, nothing made, pruned or asked, though what it keeps is gone; the first look after that mends it',
  async (_what, fault) => {
    const name = loop().place.newName();
    await loop().declare(name, manifests, { prune: true, intervalSeconds });
    await loop().untilClean(name);
    const before = { fixes: (await loop().place.fixesOf(name)).length, writes: loop().writes(name).length };
    // behind the outage something is missing: a look that believed its errors would make it, or take it for declared no more
    await loop().cluster.send('DELETE', `/apis/apps/v1/namespaces/${name}/deployments/web`);
    loop().proxy.set(fault);
    for (let minute = 0; minute <= minutes; minute += 1) {
      expect(await loop().look(name), 'the controller starts nothing').toEqual([]);
      await loop().run(name);
      const row = await loop().place.rowOf(name);
      expect(row).toMatchObject({ phase: 'unknown', frozen: false });
      const dueInMs = Date.parse(row?.dueAt ?? '') - loop().place.clock().getTime();
      expect(dueInMs, 'looked at again within an interval').toBeLessThanOrEqual(intervalSeconds * 1000);
      loop().place.time.offsetMs += 60_000;
    }
    expect((await loop().place.fixesOf(name)).length, 'no attempt, so no model either').toBe(before.fixes);
    expect(loop().writes(name).length).toBe(before.writes);
    loop().proxy.set(() => 'pass');
    await loop().run(name);
    expect(await loop().place.rowOf(name)).toMatchObject({ phase: 'clean', drifts: [] });
    expect((await loop().place.fixesOf(name)).slice(before.fixes)).toMatchObject([{ state: 'fixed', modelCalls: 0 }]);
  },
);

test.each([
  ['is cut', (): Fault => 'cut'],
  ['answers 503', (): Fault => ({ status: 503 })],
])(
  'the lists of a cluster that %s for ten minutes are asked for rarely, and no later than an interval after it is back',
  async (_what, fault) => {
    const name = loop().place.newName();
    await loop().declare(name, manifests, { intervalSeconds });
    await loop().untilClean(name);
    const pauses: number[] = [];
    // ten minutes pass in a moment: whoever pauses says for how long
    const pause = async (ms: number) => {
      pauses.push(ms);
      await new Promise((resolve) => setTimeout(resolve, 1));
    };
    const port = createKubernetesTarget({ secrets: { environment: {} }, sharesLists: true, watchTiming: { random: () => 0.999, pause } });
    const target = kubernetesTarget(name, loop().kubeconfig, manifests, { intervalSeconds });
    const stop = new AbortController();
    const status = async () => (await port.observe(target, AbortSignal.timeout(60_000))).status;
    try {
      port.watch(target, () => undefined, stop.signal);
      await pollUntil(async () => (await status()) === 'read' || undefined, 'the lists to be read', 60_000);
      pauses.length = 0;
      const asked = loop().proxy.requests();
      loop().proxy.set(fault);
      loop().proxy.cutAll();
      const lists = 5; // Deployments, ConfigMaps, Pods, autoscalers, Events
      const pausedMs = () => pauses.reduce((sum, ms) => sum + ms, 0);
      await pollUntil(() => pausedMs() >= lists * minutes * 60_000 || undefined, 'ten minutes of each list', 120_000);
      expect(await status()).toBe('unknown');
      const requests = loop().proxy.requests() - asked;
      // one try of a list is a request or two; between tries it waits up to an interval
      const tries = pauses.length;
      expect(tries, 'not more often than it waits').toBeLessThan(1.5 * ((lists * minutes * 60) / intervalSeconds) + lists * 6);
      expect(requests).toBeLessThanOrEqual(3 * (tries + lists));
      expect(Math.max(...pauses), 'however long it was away').toBeLessThanOrEqual(intervalSeconds * 1000);
      loop().proxy.set(() => 'pass');
      const triesBefore = pauses.length;
      await pollUntil(async () => (await status()) === 'read' || undefined, 'the lists to be read again', 60_000);
      expect(pauses.length - triesBefore, 'each list at its next try').toBeLessThanOrEqual(2 * lists);
    } finally {
      stop.abort();
      await port.close();
    }
  },
);

test('an API server that is slow is read all the same; one that never answers is unknown, and a write to it too', async () => {
  const name = loop().place.newName();
  await loop().declare(name, manifests);
  await loop().untilClean(name);
  const target = kubernetesTarget(name, loop().kubeconfig, manifests);
  const observe = async () => {
    const seen = await loop().adapter.observe(target, AbortSignal.timeout(120_000));
    return seen.status === 'read' ? 'read' : seen.reason;
  };
  loop().proxy.set(() => ({ slowMs: 700 }));
  expect(await observe()).toBe('read');
  const before = loop().writes(name);
  loop().proxy.set(() => 'hang');
  const restart = { op: 'restart', object: refOf(name, 'Deployment', 'web') } as const;
  const [seen, written] = await Promise.all([observe(), loop().adapter.apply(target, restart, applying('never-answered'))]);
  expect(seen).toBe('unreachable');
  expect(written.kind, 'it may have had an effect').toBe('unknown');
  loop().proxy.set(() => 'pass');
  expect(await observe()).toBe('read');
  expect(loop().writes(name)).toEqual(before);
});
