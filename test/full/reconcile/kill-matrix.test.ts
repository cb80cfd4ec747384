import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../../schema/audit-event.ts';
import { defaultTenancy } from '../../../schema/ids.ts';
import type { Fix } from '../../../schema/reconcile/fix.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import type { FixState } from '../../../schema/reconcile/target-state.ts';
import { queryAudit } from '../../../store/audit.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { fourSteps, hangingTarget } from '../../support/hanging-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import type { ReconcileWorkerOptions } from '../../support/reconcile-worker.ts';
import { serveTarget } from '../../support/remote-target.ts';
import { useTestDatabase } from '../../support/store-database.ts';
import { startTestTemporal } from '../../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';

const { database, url } = useTestDatabase();
let place: ReconcilePlace;
let served: Awaited<ReturnType<typeof serveTarget>>;
let options: ReconcileWorkerOptions;
let folder: string;
let worker: WorkerProcess;

beforeAll(async () => {
  const { address } = await startTestTemporal();
  const prefix = `kill-${process.pid}-`;
  place = await startReconcilePlace({ database: database(), worldPerTarget: true, elsewhere: { address, prefix } });
  served = await serveTarget(place.target);
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-kill-'));
  const bundle = join(folder, 'workflows.cjs');
  writeFileSync(bundle, place.bundle.code);
  options = { databaseUrl: url(), temporalAddress: address, prefix, targetUrl: served.url, bundle };
  worker = await startWorkerProcess('./reconcile-worker.ts', options);
});
afterAll(async () => {
  await place?.stop();
  await worker?.kill();
  await place?.close();
  await served?.close();
  rmSync(folder, { recursive: true, force: true });
});

/**
 * `before` its effect the write is lost with its worker; `during` it is on its way while its worker is gone, and arrives when the next worker
 * has sent its own; `after` it only the answer is lost.
 */
type Kill = { direction: 'do' | 'undo'; step: number; moment: 'before' | 'during' | 'after' };
type Killed = { at: Kill; target: string; isThere: boolean };

/** Holds a target at one moment of one write until its worker is dead. */
const hold = (at: Kill, target: string, isDead: Promise<void>): Killed => {
  const killed: Killed = { at, target, isThere: false };
  let tries = 0;
  let arrive = (): void => undefined;
  const isSecondThere = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  place.worldOf(target).faults.apply = async (moment, id) => {
    if (!id.endsWith(`/${at.direction}/${at.step}`) || moment !== (at.moment === 'after' ? 'after' : 'before')) return;
    tries += 1;
    if (tries === 2) arrive();
    if (tries > 1) return;
    killed.isThere = true;
    await isDead;
    if (at.moment === 'before') throw new Error('the connection is gone');
    if (at.moment === 'during') await isSecondThere;
  };
  return killed;
};

/** Kills the worker once all are where it is to die, and lets another take its place. */
const killAt = async (all: readonly Killed[], letGo: () => void): Promise<void> => {
  await pollUntil(() => all.every(({ isThere }) => isThere), 'all to be where the worker is killed', 120_000).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(all.filter(({ isThere }) => !isThere))}`);
  });
  await worker.kill();
  letGo();
  worker = await startWorkerProcess('./reconcile-worker.ts', options);
};
const onceDead = (): { isDead: Promise<void>; letGo: () => void } => {
  let letGo = (): void => undefined;
  const isDead = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  return { isDead, letGo: () => letGo() };
};

const endOf = (target: string, state: FixState): Promise<Fix> =>
  pollUntil(async () => (await place.fixesOf(target)).find((fix) => fix.state === state), `${target}: ${state}`, 120_000);

/** What was done of a fix, what is on record of it by step, and by the audit. */
const reported = async ({ id, target }: Fix) => {
  const rows = await listSteps(database(), id);
  const events = await queryAudit(
    database(),
    defaultTenancy,
    AuditQuerySchema.parse({ action: 'applyFix', kind: 'outcome', limit: 10_000 }),
  );
  return {
    effects: place
      .worldOf(target)
      .effects.filter((effect) => effect.startsWith(id))
      .map((effect) => effect.slice(id.length)),
    outcomes: Object.fromEntries(rows.map(({ direction, step, outcome }) => [`/${direction}/${step}`, outcome?.kind])),
    audited: Object.fromEntries(
      events
        .filter(({ facts }) => facts.fix === id)
        .map(({ operationId, facts }) => [String(operationId).slice(id.length), facts.became] as const),
    ),
    twice: events.length - new Set(events.map(({ operationId }) => operationId)).size,
  };
};

const moments = (direction: Kill['direction'], steps: number[]): Kill[] =>
  steps.flatMap((step) => (['before', 'during', 'after'] as const).map((moment) => ({ direction, step, moment })));

test('a worker killed before, during and after every step of four, done or undone, leaves every effect there once and none unreported', {
  timeout: 400_000,
}, async () => {
  const { isDead, letGo } = onceDead();
  const all: Killed[] = [];
  const before = new Map<string, string>();
  for (const at of [...moments('do', [0, 1, 2, 3]), ...moments('undo', [0, 1, 2])]) {
    const { target, declared } = hangingTarget(place);
    await place.declare(target, declared);
    await place.declareRule(target, {
      match: 'drift.kind == "unhealthy"',
      operations: fourSteps.map((step): Operation => ({ op: 'scale', object: deploymentRef(`${target}-${step}`), replicas: 1 })),
    });
    const world = place.worldOf(target);
    before.set(target, world.text());
    // the last step is refused, so that those before it are undone
    world.faults.refuse = (id) =>
      at.direction === 'undo' && id.endsWith('/do/3') ? { kind: 'failed', reason: 'refused', message: 'not today' } : undefined;
    all.push(hold(at, target, isDead));
  }
  for (const { target } of all) await place.start(target);
  for (const { target } of all) await place.answer(target, await place.waiting(target, 90_000));
  await killAt(all, letGo);

  for (const { at, target } of all) {
    const isDone = at.direction === 'do';
    const fix = await endOf(target, isDone ? 'fixed' : 'failed');
    const effects = isDone ? ['/do/0', '/do/1', '/do/2', '/do/3'] : ['/do/0', '/do/1', '/do/2', '/undo/2', '/undo/1', '/undo/0'];
    const outcomes = Object.fromEntries([...effects.map((effect) => [effect, 'applied']), ...(isDone ? [] : [['/do/3', 'failed']])]);
    expect({ at, ...(await reported(fix)) }).toEqual({ at, effects, outcomes, audited: outcomes, twice: 0 });
    if (!isDone) expect(place.worldOf(target).text(), JSON.stringify(at)).toBe(before.get(target));
  }
});

test('a worker killed right after a deletion knows of it: it is reported as done, and taken back where it made things worse', {
  timeout: 240_000,
}, async () => {
  const { isDead, letGo } = onceDead();
  const target = place.newName();
  const world = place.worldOf(target);
  const spare = `${target}-spare`;
  await place.declare(target, {
    manifests: ['web', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => deploymentManifest(`${target}-${name}`)),
    ...{ prune: true, limits: { cooldownSeconds: 300, fixesPerHour: 100 }, verification: { timeoutSeconds: 20, holdSeconds: 0 } },
  });
  world.put(deploymentRef(spare), deploymentManifest(spare), { manager: 'quarterdeck', isOurs: true });
  world.judgeBy(({ name }) =>
    name.endsWith('-web') && world.find(deploymentRef(spare)) === undefined
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it needs the spare one', count: 1 }] }
      : { health: 'healthy', symptoms: [] },
  );
  const before = world.text();
  const killed = hold({ direction: 'do', step: 0, moment: 'after' }, target, isDead);
  await place.start(target);
  await place.answer(target, await place.waiting(target, 90_000));
  await killAt([killed], letGo);
  const fix = await endOf(target, 'rolled-back');
  const done = { '/do/0': 'applied', '/undo/0': 'applied' };
  expect(await reported(fix)).toEqual({ effects: ['/do/0', '/undo/0'], outcomes: done, audited: done, twice: 0 });
  expect(world.text()).toBe(before);
});
