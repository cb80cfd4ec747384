import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import { getApproval } from '../../../store/approvals.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import { serveTarget } from '../../support/remote-target.ts';
import { useTestDatabase } from '../../support/store-database.ts';
import { startTestTemporal } from '../../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';

const { database, url } = useTestDatabase();
let place: ReconcilePlace;
let served: Awaited<ReturnType<typeof serveTarget>>;
let folder: string;
let worker: WorkerProcess | undefined;
let startBuild: (build: 'earlier' | 'today' | 'later') => Promise<WorkerProcess>;
const bundles: Record<string, { code: string }> = {};

beforeAll(async () => {
  const { address } = await startTestTemporal();
  const prefix = `upgrade-${process.pid}-`;
  place = await startReconcilePlace({ database: database(), worldPerTarget: true, elsewhere: { address, prefix } });
  served = await serveTarget(place.target);
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-upgrade-'));
  bundles.today = place.bundle;
  for (const build of ['earlier', 'later', 'careless'])
    bundles[build] = await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL(`../../support/builds/${build}-reconcile.ts`, import.meta.url)),
      logger: new DefaultLogger('ERROR', () => undefined),
    });
  for (const [build, { code }] of Object.entries(bundles)) writeFileSync(join(folder, `${build}.cjs`), code);
  startBuild = (build) =>
    startWorkerProcess('./reconcile-worker.ts', {
      ...{ databaseUrl: url(), temporalAddress: address, prefix, targetUrl: served.url },
      bundle: join(folder, `${build}.cjs`),
    });
});
afterAll(async () => {
  await place?.stop();
  await worker?.kill();
  await place?.close();
  await served?.close();
  rmSync(folder, { recursive: true, force: true });
});

const day = 24 * 3600;
/** A target whose `web` hangs while there are two of it; people have 25 hours to say whether the rule that is declared for it may act. */
const declare = async (): Promise<string> => {
  const target = place.newName();
  const web = `${target}-web`;
  const world = place.worldOf(target);
  world.judgeBy(({ name }, { spec }) =>
    name === web && spec.replicas !== 1
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
      : { health: 'healthy', symptoms: [] },
  );
  await place.declare(target, {
    manifests: [web, `${target}-a`, `${target}-b`].map((name) => deploymentManifest(name)),
    ...{ critical: true, approval: { expiresInSeconds: day + 3600 }, limits: { cooldownSeconds: 0 } },
  });
  await place.declareRule(target, {
    match: 'drift.kind == "unhealthy"',
    operations: [{ op: 'scale', object: deploymentRef(web), replicas: 1 }],
  });
  return target;
};

/** A day passes: all that is written of a target is a day older, and its workflow has looked again each hour. */
const passADay = async (target: string, approvalId: string): Promise<void> => {
  const ago = (columns: string[]): string => columns.map((column) => `${column} = ${column} - interval '24 hours'`).join(', ');
  const { $client } = database();
  await $client.query(`update approvals set ${ago(['requested_at', 'expires_at'])} where id = $1`, [approvalId]);
  await $client.query(`update reconcile_fixes set ${ago(['began_at'])} where target = $1`, [target]);
  await $client.query(`update reconcile_targets set ${ago(['changed_at'])} where target = $1`, [target]);
  const looks = place.worldOf(target).reads.observe;
  for (let hour = 1; hour <= 24; hour += 1) {
    await place.start(target);
    await pollUntil(() => place.worldOf(target).reads.observe >= looks + hour, `the look of hour ${hour}`, 60_000);
  }
};

const proven: string[] = [];

test.each([
  ['earlier', 'today'],
  ['today', 'later'],
] as const)('what the %s build asked people a day ago, the build of %s does once, and its history replays', async (before, after) => {
  worker = await startBuild(before);
  const target = await declare();
  await place.start(target);
  const approval = await place.waiting(target, 90_000);
  await passADay(target, approval.id);
  await worker.kill();
  worker = await startBuild(after);
  const stillWaiting = await getApproval(database(), { ...defaultTenancy, id: approval.id });
  expect([stillWaiting.state, stillWaiting.digest]).toEqual(['pending', approval.digest]);
  const ageHours = (Date.now() - Date.parse(stillWaiting.requestedAt)) / 3_600_000;
  expect(ageHours).toBeGreaterThanOrEqual(24);
  await place.answer(target, approval);
  await pollUntil(async () => (await place.rowOf(target))?.phase === 'clean', `${target} clean`, 120_000);
  const fixes = await place.fixesOf(target);
  expect(fixes.map(({ state }) => state)).toEqual(['fixed']);
  const id = fixes[0]?.id ?? '';
  expect(place.worldOf(target).effects).toEqual([`${id}/do/0`]);
  expect((await listSteps(database(), id)).map(({ outcome }) => outcome?.kind)).toEqual(['applied']);
  expect((await getApproval(database(), { ...defaultTenancy, id: approval.id })).state).toBe('consumed');
  await worker.kill();

  const { workflows } = place.workers();
  const history = await workflows.getHandle(place.idOf(target)).fetchHistory();
  await Worker.runReplayHistory({ workflowBundle: bundles[after] as { code: string } }, history);
  await expect(
    Worker.runReplayHistory({ workflowBundle: bundles.careless as { code: string } }, history),
    'a change that does not ask is seen',
  ).rejects.toThrow(/Nondeterminism/);
  proven.push(after);
});

test('worker code that is replaced within a wait of a day leaves the approval valid, its fix made once, and the history replayable', () => {
  expect(proven).toEqual(['today', 'later']);
});
