import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { targetChangedSignal, workflowTypes } from '../../../schema/workflow-contract.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import type { ReconcileWorkerOptions } from '../../support/reconcile-worker.ts';
import { serveTarget } from '../../support/remote-target.ts';
import { useTestDatabase } from '../../support/store-database.ts';
import { startTestTemporal } from '../../support/temporal.ts';

const { database, url } = useTestDatabase();
let place: ReconcilePlace;
let served: Awaited<ReturnType<typeof serveTarget>>;
let options: ReconcileWorkerOptions;
let folder: string;
let child: ChildProcess | undefined;
let kills = 0;

const startChild = async (): Promise<void> => {
  const script = fileURLToPath(new URL('../../support/reconcile-worker.ts', import.meta.url));
  child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
};
/** Kills the worker at once, and lets another take its place. */
const kill = async (): Promise<void> => {
  kills += 1;
  const dying = child;
  const gone = dying && once(dying, 'exit');
  dying?.kill('SIGKILL');
  await gone;
  void startChild();
};

beforeAll(async () => {
  place = await startReconcilePlace({ database: database() });
  served = await serveTarget(place.target);
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-kill-'));
  const bundle = join(folder, 'workflows.cjs');
  writeFileSync(bundle, place.bundle.code);
  options = {
    databaseUrl: url(),
    temporalAddress: (await startTestTemporal()).address,
    prefix: `kill-${process.pid}-`,
    targetUrl: served.url,
    bundle,
  };
  await startChild();
});
afterAll(async () => {
  const dying = child;
  child = undefined;
  if (dying?.exitCode === null) {
    dying.kill('SIGKILL');
    await once(dying, 'exit');
  }
  await place.close();
  await served.close();
  rmSync(folder, { recursive: true, force: true });
});

const steps = ['a', 'b', 'c', 'd'];
/** Objects of one target, whose `web` hangs until all four others have one replica. */
const namesOf = (target: string) => ({ web: `${target}-web`, others: steps.map((step) => `${target}-${step}`) });

const declare = async (target: string): Promise<void> => {
  const { web, others } = namesOf(target);
  const more = ['e', 'f', 'g', 'h'].map((one) => `${target}-${one}`);
  await place.declare(target, {
    manifests: [web, ...others, ...more].map((name) => deploymentManifest(name)),
    limits: { cooldownSeconds: 0, fixesPerHour: 100 },
  });
  await place.declareRule(target, {
    match: 'drift.kind == "unhealthy"',
    operations: others.map((name): Operation => ({ op: 'scale', object: deploymentRef(name), replicas: 1 })),
  });
};
const start = (target: string) =>
  place.workers().workflows.signalWithStart(workflowTypes.reconcile, {
    workflowId: place.idOf(target),
    taskQueue: `${options.prefix}control`,
    args: [{ ...defaultTenancy, target }],
    signal: targetChangedSignal,
  });

type Kill = { direction: 'do' | 'undo'; step: number; moment: 'before' | 'after' };

/** Runs one target whose third step fails where it is to be undone, with a kill at one moment of one step. */
const runKilled = async (at: Kill): Promise<void> => {
  const target = place.newName();
  await declare(target);
  const { web, others } = namesOf(target);
  place.world.judgeBy(({ name }) => {
    const isWeb = name.endsWith('-web');
    const ofWeb = name.slice(0, -'-web'.length);
    const isMended = isWeb && steps.every((step) => place.worldState(`${ofWeb}-${step}`)?.spec.replicas === 1);
    return isWeb && !isMended
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
      : { health: 'healthy', symptoms: [] };
  });
  const before = others.map((name) => place.worldState(name).spec.replicas);
  let fixId = '';
  let isKilled = false;
  place.world.faults.refuse = (id) =>
    at.direction === 'undo' && id === `${fixId}/do/3` ? { kind: 'failed', reason: 'refused', message: 'not today' } : undefined;
  place.world.faults.apply = async (moment, id) => {
    if (isKilled || id !== `${fixId}/${at.direction}/${at.step}` || moment !== at.moment) return;
    isKilled = true;
    await kill();
    // before its effect a write that nobody waits for any more is lost; after it, only the answer is
    if (moment === 'before') throw new Error('the connection is gone');
  };
  const already = place.world.effects.length;
  await start(target);
  const approval = await place.waiting(target, 60_000);
  fixId = (await place.fixesOf(target)).at(-1)?.id ?? '';
  await place.answer(target, approval);
  const state = at.direction === 'do' ? 'fixed' : 'failed';
  await pollUntil(
    async () => (await place.fixesOf(target)).find((fix) => fix.id === fixId && fix.state === state),
    `${JSON.stringify(at)}: ${state}`,
    90_000,
  );
  expect(isKilled, JSON.stringify(at)).toBe(true);
  const effects = place.world.effects.slice(already).map((effect) => effect.replace(fixId, ''));
  const expected =
    at.direction === 'do' ? [0, 1, 2, 3].map((step) => `/do/${step}`) : ['/do/0', '/do/1', '/do/2', '/undo/2', '/undo/1', '/undo/0'];
  expect(effects, `${JSON.stringify(at)}: every effect once`).toEqual(expected);
  const rows = await listSteps(database(), fixId);
  expect(
    rows.every(({ outcome }) => outcome !== null && outcome.kind !== 'unknown'),
    `${JSON.stringify(at)}: nothing unreported`,
  ).toBe(true);
  if (at.direction === 'undo') expect(others.map((name) => place.worldState(name).spec.replicas)).toEqual(before);
  await place
    .workers()
    .workflows.getHandle(place.idOf(target))
    .terminate()
    .catch(() => undefined);
  void web;
};

/** Moments at which the worker was killed and all was well afterwards. */
const survived = new Set<string>();
const moments: Kill[] = [
  ...[0, 1, 2, 3].flatMap((step) => (['before', 'after'] as const).map((moment) => ({ direction: 'do', step, moment }) as const)),
  ...[0, 1, 2].flatMap((step) => (['before', 'after'] as const).map((moment) => ({ direction: 'undo', step, moment }) as const)),
];

test.each(moments)(
  'a worker killed $moment the effect of $direction step $step: every effect is there once, and none is unreported',
  async (at) => {
    await runKilled(at);
    survived.add(JSON.stringify(at));
    expect(kills).toBeGreaterThan(0);
  },
);

test('a worker killed before and after every step of four, done or undone, leaves every effect there once and none unreported', () => {
  expect([...survived].sort()).toEqual(moments.map((at) => JSON.stringify(at)).sort());
});
