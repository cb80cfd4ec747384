import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { fourSteps, hangingTarget } from '../../support/hanging-target.ts';
import { startOwnTemporal } from '../../support/own-temporal.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import { serveTarget } from '../../support/remote-target.ts';
import { useTestDatabase } from '../../support/store-database.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';

const { database, url } = useTestDatabase();
let temporal: Awaited<ReturnType<typeof startOwnTemporal>>;
let place: ReconcilePlace;
let served: Awaited<ReturnType<typeof serveTarget>>;
let worker: WorkerProcess;
let folder: string;

beforeAll(async () => {
  temporal = await startOwnTemporal();
  const { address } = temporal;
  place = await startReconcilePlace({ database: database(), worldPerTarget: true, elsewhere: { address, prefix: '' } });
  served = await serveTarget(place.target);
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-restart-'));
  const bundle = join(folder, 'workflows.cjs');
  writeFileSync(bundle, place.bundle.code);
  const options = { databaseUrl: url(), temporalAddress: address, prefix: '', targetUrl: served.url, bundle };
  worker = await startWorkerProcess('./reconcile-worker.ts', options);
});
afterAll(async () => {
  await worker?.kill();
  await place?.close();
  await served?.close();
  await temporal?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A target whose `web` hangs until the four beside it have one replica; a rule that people wrote says so, and people are asked. */
const declare = async (): Promise<string> => {
  const { target, declared } = hangingTarget(place);
  await place.declare(target, declared);
  await place.declareRule(target, {
    match: 'drift.kind == "unhealthy"',
    operations: fourSteps.map((step): Operation => ({ op: 'scale', object: deploymentRef(`${target}-${step}`), replicas: 1 })),
  });
  return target;
};

const fixed = (target: string) =>
  pollUntil(
    async () => {
      const row = await place.rowOf(target);
      const fix = (await place.fixesOf(target)).at(-1);
      return row?.phase === 'clean' && fix?.state === 'fixed' ? fix : undefined;
    },
    `${target}: fixed`,
    120_000,
  );

test('a Temporal server that is killed in the middle of an apply and started again loses nothing and does nothing twice', async () => {
  // before and after the effect of each step, at the same moment of one of eight
  const moments = fourSteps.flatMap((_, step) => (['before', 'after'] as const).map((moment) => ({ moment, step })));
  const at = new Map<string, (typeof moments)[number]>();
  for (const moment of moments) at.set(await declare(), moment);
  const targets = [...at.keys()];
  const arrived = new Set<string>();
  let letGo = (): void => undefined;
  const isAway = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  for (const target of targets)
    place.worldOf(target).faults.apply = async (moment, id) => {
      const mine = at.get(target);
      if (moment !== mine?.moment || !id.endsWith(`/do/${mine.step}`) || arrived.has(target)) return;
      arrived.add(target);
      await isAway; // the effect goes on while nobody is there to hear of it
    };
  for (const target of targets) await place.start(target);
  for (const target of targets) await place.answer(target, await place.waiting(target, 60_000));
  await pollUntil(() => arrived.size === targets.length, 'all to be in the middle', 60_000);
  await temporal.kill();
  letGo();
  await new Promise((resolve) => setTimeout(resolve, 3000));
  // what was under way when it went is written down, and nothing else was begun
  for (const target of targets) {
    const { step } = at.get(target) ?? { step: -1 };
    expect(place.worldOf(target).effects.length, target).toBe(step + 1);
  }
  await temporal.start();
  for (const target of targets) {
    const { id } = await fixed(target);
    const effects = place.worldOf(target).effects.map((effect) => effect.replace(id, ''));
    expect(effects, JSON.stringify(at.get(target))).toEqual(['/do/0', '/do/1', '/do/2', '/do/3']);
    expect((await listSteps(database(), id)).map(({ outcome }) => outcome?.kind)).toEqual(fourSteps.map(() => 'applied'));
    expect(await place.fixesOf(target)).toHaveLength(1);
  }
  expect(worker.isRunning(), 'the worker waits for its server').toBe(true);
});
