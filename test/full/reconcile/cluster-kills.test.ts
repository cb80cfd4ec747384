import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { clusterHands, configMapPath } from '../../support/cluster-hands.ts';
import { type ClusterReconcilePlace, startClusterReconcilePlace } from '../../support/cluster-reconcile-place.ts';
import { deployment, images, refOf } from '../../support/kube-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import type { ReconcileWorkerOptions } from '../../support/reconcile-worker.ts';
import { useTestDatabase } from '../../support/store-database.ts';
import { startTestTemporal } from '../../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';

const { database, url } = useTestDatabase();
let loop: ClusterReconcilePlace;
let options: ReconcileWorkerOptions;
let folder: string;
let worker: WorkerProcess;
beforeAll(async () => {
  const { address } = await startTestTemporal();
  const prefix = `cluster-kills-${process.pid}-`;
  loop = await startClusterReconcilePlace({ database: database(), images: { ...images }, elsewhere: { address, prefix } });
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-cluster-kills-'));
  const bundle = join(folder, 'workflows.cjs');
  writeFileSync(bundle, loop.place.bundle.code);
  options = { databaseUrl: url(), temporalAddress: address, prefix, bundle };
  worker = await startWorkerProcess('./reconcile-worker.ts', options);
});
afterAll(async () => {
  await worker?.kill();
  await loop?.close();
  rmSync(folder, { recursive: true, force: true });
});
const { live, byHand } = clusterHands(() => loop);

const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm-1' }, data: { level: 'info' } };
const one = (name: string, replicas: number) => {
  const made = deployment({ resources: {} }, name);
  made.spec.replicas = replicas;
  return made;
};
const manifests = [one('a', 2), one('b', 2), one('c', 2), settings];
const stepsOf = (namespace: string) => [
  { op: 'scale', object: refOf(namespace, 'Deployment', 'a'), replicas: 1 },
  { op: 'scale', object: refOf(namespace, 'Deployment', 'b'), replicas: 1 },
  { op: 'scale', object: refOf(namespace, 'Deployment', 'c'), replicas: 1 },
  { op: 'patchField', object: refOf(namespace, 'ConfigMap', 'm-1'), path: '/data/level', value: 'info' },
];
const names = ['a', 'b', 'c', 'm-1'];

type Kill = { direction: 'do' | 'undo'; step: number; moment: 'before' | 'after' };
const moments: Kill[] = (['before', 'after'] as const).flatMap((moment) => [
  ...[0, 1, 2, 3].map((step): Kill => ({ direction: 'do', step, moment })),
  ...[0, 1, 2].map((step): Kill => ({ direction: 'undo', step, moment })),
]);
const textOf = ({ direction, step, moment }: Kill): string => `${moment} ${direction} ${step}`;
const specsOf = (name: string) => Promise.all(['a', 'b', 'c'].map(async (object) => (await live(name, object)).spec));

/** A target whose fix of four steps waits for people. */
const ask = async (at: Kill) => {
  const name = loop.place.newName();
  await loop.declare(name, manifests);
  await pollUntil(
    async () => {
      await loop.run(name);
      return (await loop.place.rowOf(name))?.phase === 'clean' || undefined;
    },
    `${name} to be clean`,
    240_000,
  );
  await loop.place.declareRule(name, { match: 'drift.kind == "changed"', operations: stepsOf(name) });
  const limits = { cooldownSeconds: 0, fixesPerHour: 1000, percentPerPlan: 100 };
  await loop.declare(name, manifests, { critical: true, limits });
  const before = { specs: await specsOf(name), writes: loop.writes(name).length };
  await byHand(configMapPath(name, 'm-1'), [{ op: 'replace', path: '/data/level', value: 'debug' }]);
  await loop.place.start(name);
  return { name, at, before, fix: await loop.untilAsked(name) };
};

test('a worker killed while the API server is asked for any step of four, done or undone, or has done it and not been heard: every effect is there once, none unreported', {
  timeout: 600_000,
}, async () => {
  const all = await Promise.all(moments.map(ask));
  const atOf = new Map(all.map(({ name, at }) => [name, at]));
  const asked = new Map<string, number>();
  const held = new Set<string>();
  let isOver = false;
  loop.proxy.set(({ method, url = '' }) => {
    const [, name = '', object = ''] = /\/namespaces\/([^/]+)\/[^/]+\/([^/?]+)/.exec(url) ?? [];
    const at = atOf.get(name);
    const isWrite = method !== 'GET' && !url.includes('dryRun') && names.includes(object);
    if (at?.direction === 'undo' && isWrite && object === 'm-1') return { status: 403 };
    if (isOver || at === undefined) return 'pass';
    // whoever is where it is killed hears nothing any more
    if (held.has(name)) return 'hang';
    if (!isWrite) return 'pass';
    const times = (asked.get(`${name} ${object}`) ?? 0) + 1;
    asked.set(`${name} ${object}`, times);
    if (object !== names[at.step] || times !== (at.direction === 'do' ? 1 : 2)) return 'pass';
    held.add(name);
    return at.moment === 'before' ? 'hang' : 'unheard';
  });
  for (const { name } of all) await loop.place.answer(name, await loop.place.waiting(name, 60_000));
  await pollUntil(() => held.size === all.length || undefined, 'all to be where they are killed', 120_000).catch(({ message }) => {
    throw new Error(`${message}: ${all.flatMap(({ name, at }) => (held.has(name) ? [] : [textOf(at)])).join(', ')}`);
  });
  // what was asked and not heard has to be done before it is killed
  const doneBy = ({ direction, step, moment }: Kill): number => (direction === 'do' ? step : 5 - step) + (moment === 'after' ? 1 : 0);
  await pollUntil(
    () => all.every(({ name, at, before }) => loop.writes(name).length - before.writes === doneBy(at)) || undefined,
    'what was asked to be done',
    60_000,
  );
  await worker.kill();
  isOver = true;
  worker = await startWorkerProcess('./reconcile-worker.ts', options);

  for (const { name, at, before, fix } of all) {
    const end = await pollUntil(
      async () => (await loop.place.fixesOf(name)).find(({ id, endedAt }) => id === fix.id && endedAt !== null),
      `${textOf(at)}: its end`,
      240_000,
    );
    expect(end.state, `${textOf(at)}: ${end.message}`).toBe(at.direction === 'do' ? 'fixed' : 'failed');
    const done = ['patch a', 'patch b', 'patch c'];
    const expected = at.direction === 'do' ? [...done, 'patch m-1'] : [...done, ...done.toReversed()];
    expect(loop.writes(name).slice(before.writes), `${textOf(at)}: every effect once`).toEqual(expected);
    const outcomes = (await listSteps(database(), fix.id)).map(({ outcome }) => outcome?.kind);
    expect(new Set(outcomes.filter((kind) => kind !== 'applied')), `${textOf(at)}: none unreported`).toEqual(
      new Set(at.direction === 'do' ? [] : ['failed']),
    );
    if (at.direction === 'undo') expect(await specsOf(name), textOf(at)).toEqual(before.specs);
  }
});
