import { describe, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../../schema/audit-event.ts';
import { defaultTenancy } from '../../../schema/ids.ts';
import { queryAudit } from '../../../store/audit.ts';
import { clusterHands, configMapPath, deploymentPath } from '../../support/cluster-hands.ts';
import { useClusterReconcilePlace } from '../../support/cluster-reconcile-place.ts';
import { deployment, kubernetesTarget, objectIn, refOf, service } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { useTestDatabase } from '../../support/store-database.ts';

const { database } = useTestDatabase();
const loop = useClusterReconcilePlace(database);

const map = (name: string, wave = 0) => ({
  ...{ apiVersion: 'v1', kind: 'ConfigMap', data: { level: 'info' } },
  metadata: { name, annotations: { 'quarterdeck.dev/wave': String(wave) } },
});
const { see, live, isGone, byHand } = clusterHands(loop);
const states = async (name: string): Promise<string[]> => (await loop().place.fixesOf(name)).map(({ state }) => state);
/** As the platform sees it: the part of an object that people declare. */
const hashOf = async (namespace: string, name: string, manifests: object[]): Promise<string> => {
  const target = kubernetesTarget(namespace, loop().kubeconfig, manifests);
  return objectIn(await loop().adapter.observe(target, AbortSignal.timeout(60_000)), 'Deployment', name).hash;
};

describe('what rules mend on a real cluster', () => {
  const image = '/spec/template/spec/containers/0/image';
  test.each([
    [
      'K01',
      'a Deployment that was deleted',
      async (namespace: string) => {
        await loop().cluster.send('DELETE', deploymentPath(namespace));
        await pollUntil(() => isGone(deploymentPath(namespace)), 'the Deployment to be gone');
      },
    ],
    [
      'K02',
      'an image that was edited',
      (namespace: string) => byHand(deploymentPath(namespace), [{ op: 'replace', path: image, value: 'registry.test/web:2' }]),
    ],
    [
      'K08',
      'a selector that finds nobody',
      (namespace: string) =>
        byHand(`/api/v1/namespaces/${namespace}/services/web`, [{ op: 'replace', path: '/spec/selector/app', value: 'nobody' }]),
    ],
  ])(
    '%s, %s: seen by the first look after it, as declared and well before the second, without a model, and the audit names the rule',
    async (id, _what, breakIt) => {
      const name = loop().place.newName();
      await loop().declare(name, [deployment(), service]);
      await loop().untilClean(name);
      expect(await loop().look(name)).toEqual([]);
      const before = { fixes: (await loop().place.fixesOf(name)).length, writes: loop().writes(name).length };
      await breakIt(name);

      expect(await loop().look(name)).toEqual([{ ...defaultTenancy, target: name }]);
      await loop().run(name);
      expect(await loop().look(name)).toEqual([]);

      expect(await loop().place.rowOf(name)).toMatchObject({ phase: 'clean', drifts: [] });
      expect((await live(name)).spec.template.spec.containers[0].image).toBe('registry.test/web:1');
      expect((await see(`/api/v1/namespaces/${name}/services/web`)).spec.selector).toEqual({ app: 'web' });
      const [fix, ...others] = (await loop().place.fixesOf(name)).slice(before.fixes);
      expect(others).toEqual([]);
      expect(fix).toMatchObject({ state: 'fixed', modelCalls: 0, plan: { source: { kind: 'rule', rule: 'reapply-declared' } } });
      const broken = id === 'K08' ? 'patch web' : expect.stringMatching(/^(create|patch) web$/);
      expect(new Set(loop().writes(name).slice(before.writes)).size, 'only what was broken is written').toBe(1);
      expect(loop().writes(name).at(-1)).toEqual(broken);
      const rows = await queryAudit(database(), defaultTenancy, AuditQuerySchema.parse({ action: 'applyFix', limit: 1000 }));
      const outcome = rows.find(({ operationId, kind }) => operationId === `${fix?.id}/do/0` && kind === 'outcome');
      expect(outcome).toMatchObject({ outcome: 'ok', facts: { rule: 'reapply-declared', plan: fix?.planDigest } });
    },
  );
});

test('waves on a real cluster: the second begins when the first is available; what is declared no more goes in reverse; of an empty or unreadable declaration nothing goes', async () => {
  const name = loop().place.newName();
  const secondsUntilReady = 4;
  const kept = ['keep-1', 'keep-2', 'keep-3'].map((one) => map(one));
  const first = deployment({}, 'first');
  first.spec.minReadySeconds = secondsUntilReady;
  const second = { ...deployment({}, 'second'), metadata: { name: 'second', annotations: { 'quarterdeck.dev/wave': '1' } } };
  await loop().declare(name, [second, ...kept, first]);
  await loop().untilClean(name);
  const [one, other] = [await live(name, 'first'), await live(name, 'second')];
  const available = one.status.conditions.find(({ type }: { type: string }) => type === 'Available');
  expect(Date.parse(other.metadata.creationTimestamp)).toBeGreaterThanOrEqual(Date.parse(available.lastTransitionTime));
  expect(Date.parse(other.metadata.creationTimestamp) - Date.parse(one.metadata.creationTimestamp)).toBeGreaterThanOrEqual(
    (secondsUntilReady - 1) * 1000, // of whole seconds
  );

  const before = loop().writes(name).length;
  for (const [manifests, phase] of [
    [[], undefined],
    [[{ ...second, spec: { ...second.spec, selector: { matchLabels: { app: 'another' } } } }], 'unknown'],
  ] as const) {
    await loop().declare(name, [...manifests], { prune: true });
    await loop().run(name);
    if (phase) expect(await loop().place.rowOf(name)).toMatchObject({ phase, message: expect.stringContaining('cannot be read') });
  }
  expect(loop().writes(name).slice(before), 'nothing is deleted for what may be a mistake').toEqual([]);

  await loop().declare(name, kept, { prune: true });
  await loop().place.start(name);
  for (const leaving of ['second', 'first']) {
    const { plan } = await loop().untilAsked(name);
    expect(plan?.steps.map(({ operation }) => `${operation.op} ${operation.object.name}`)).toEqual([`prune ${leaving}`]);
    expect((await states(name)).filter((state) => state === 'awaiting-approval')).toHaveLength(1);
    await loop().place.answer(name, await loop().place.waiting(name));
    await pollUntil(() => isGone(deploymentPath(name, leaving)), `${leaving} to be gone`, 120_000);
  }
  await loop().place.ended(name);
  expect(loop().writes(name).slice(before)).toEqual(['delete second', 'delete first']);
});

test('somebody who takes a field of a real cluster back three times is left alone: contested, and the journal has no write of ours any more', async () => {
  const name = loop().place.newName();
  await loop().declare(name, [deployment()]);
  await loop().untilClean(name);
  const takeBack = () => byHand(deploymentPath(name), [{ op: 'replace', path: '/spec/replicas', value: 4 }]);
  for (let revert = 1; revert <= 3; revert += 1) {
    await takeBack();
    await loop().run(name);
    expect((await live(name)).spec.replicas, `after ${revert}`).toBe(2);
  }
  const written = loop().writes(name);
  await takeBack();
  for (let look = 0; look < 3; look += 1) await loop().run(name);
  expect(loop().writes(name), 'nothing is written any more').toEqual(written);
  expect(await loop().place.rowOf(name)).toMatchObject({ phase: 'contested', drifts: [{ kind: 'changed' }] });
  expect((await live(name)).spec.replicas).toBe(4);
  expect((await states(name)).filter((state) => state === 'asked')).toHaveLength(1);
});

describe('a plan of four steps on a real cluster', () => {
  const names = ['a', 'b', 'c', 'd'];
  const manifests = [...names.map((name) => deployment({}, name)), ...['m-1', 'm-2', 'm-3', 'm-4'].map((name) => map(name))];
  const isPatchOf = (name: string, { method, url = '' }: { method?: string; url?: string }): boolean =>
    method === 'PATCH' && new RegExp(`/deployments/${name}(\\?|$)`).test(url) && !url.includes('dryRun');
  /** Its plan waits for people, and is approved; from then on the API server refuses what `spoil` names. */
  const begin = async (name: string, spoil: (asked: { method?: string; url?: string }) => boolean, more: object = {}) => {
    // half of it at a time: after five changes within an hour people are asked
    for (const part of [manifests.slice(0, 4), manifests]) {
      await loop().declare(name, part);
      await loop().untilClean(name);
    }
    await loop().place.declareRule(name, {
      match: 'drift.kind == "changed"',
      operations: names.map((one) => ({ op: 'scale', object: refOf(name, 'Deployment', one), replicas: 1 })),
    });
    await loop().declare(name, manifests, { rulesOff: ['reapply-declared'], ...more });
    const hashes = await Promise.all(names.map((one) => hashOf(name, one, manifests)));
    const specs = await Promise.all(names.map(async (one) => (await live(name, one)).spec));
    const writes = loop().writes(name).length;
    await byHand(configMapPath(name, 'm-1'), [{ op: 'replace', path: '/data/level', value: 'debug' }]);
    await loop().place.start(name);
    await loop().untilAsked(name);
    const approval = await loop().place.waiting(name);
    loop().proxy.set((asked) => (spoil(asked) ? { status: 403 } : 'pass'));
    await loop().place.answer(name, approval);
    return { hashes, specs, writes };
  };
  const ended = (name: string, state: string) =>
    pollUntil(async () => (await loop().place.fixesOf(name)).find((fix) => fix.state === state), `${name}: ${state}`, 120_000);

  test('whose third is refused by the API server is undone in reverse, and each object is as it was, by its hash and its spec', async () => {
    const name = loop().place.newName();
    const before = await begin(name, (asked) => isPatchOf('c', asked));
    const fix = await ended(name, 'failed');
    expect(fix.message).toContain('Step 3 failed');
    expect(loop().writes(name).slice(before.writes)).toEqual(['patch a', 'patch b', 'patch b', 'patch a']);
    expect(await Promise.all(names.map((one) => hashOf(name, one, manifests)))).toEqual(before.hashes);
    expect(await Promise.all(names.map(async (one) => (await live(name, one)).spec))).toEqual(before.specs);
  });

  test('whose undoing is refused too freezes the target, calls people, and is written no more', async () => {
    const name = loop().place.newName();
    await loop().place.declareChannel('pager');
    let patchesOfA = 0;
    const spoil = (asked: { method?: string; url?: string }): boolean => {
      if (isPatchOf('a', asked)) patchesOfA += 1;
      return isPatchOf('c', asked) || (isPatchOf('a', asked) && patchesOfA > 1);
    };
    const before = await begin(name, spoil, { channels: ['pager'], contact: 'the desk, 555' });
    await ended(name, 'frozen');
    await loop().place.ended(name);
    expect(loop().writes(name).slice(before.writes)).toEqual(['patch a', 'patch b', 'patch b']);
    expect((await live(name, 'a')).spec.replicas, 'what could not be undone is said').toBe(1);
    expect(await loop().place.rowOf(name)).toMatchObject({ phase: 'frozen', frozen: true, message: expect.stringContaining('step 1') });
    const { rows } = await database().$client.query(
      `select event, text from channel_deliveries where channel = 'pager' and event = 'page'`,
    );
    expect(rows).toEqual([{ event: 'page', text: expect.stringContaining('the desk, 555') }]);
    loop().proxy.set(() => 'pass');
    await loop().run(name);
    expect(loop().writes(name).length - before.writes).toBe(3);
  });
});
