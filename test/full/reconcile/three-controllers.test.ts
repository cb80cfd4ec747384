import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import { listApprovals } from '../../../store/approvals.ts';
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
const controllers = new Map<string, WorkerProcess>();
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  const { address } = await startTestTemporal();
  place = await startReconcilePlace({ database: database(), worldPerTarget: true, elsewhere: { address, prefix: '' } });
  served = await serveTarget(place.target);
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-controllers-'));
  const bundle = join(folder, 'workflows.cjs');
  writeFileSync(bundle, place.bundle.code);
  const shared = { databaseUrl: url(), temporalAddress: address, targetUrl: served.url };
  for (const name of ['one', 'two', 'three'])
    controllers.set(name, await startWorkerProcess('./reconcile-controller.ts', { ...shared, name: `controller-${name}` }));
  for (const _ of controllers) workers.push(await startWorkerProcess('./reconcile-worker.ts', { ...shared, prefix: '', bundle }));
});
afterAll(async () => {
  await place?.stop();
  for (const each of [...controllers.values(), ...workers]) if (each.isRunning()) await each.kill();
  await place?.close();
  await served?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Those who hold the lock of the controller that works. */
const leaders = async (): Promise<string[]> => {
  const { rows } = await database().$client.query<{ name: string }>(
    `select application_name as name from pg_locks join pg_stat_activity using (pid)
     where locktype = 'advisory' and granted and (classid::bigint << 32) + objid::bigint = 7420000000000001 and application_name like 'quarterdeck-controller-%'`,
  );
  return rows.map(({ name }) => name.replace('quarterdeck-controller-', ''));
};

/** A target whose `web` will hang while there are two of it. With a rule people are asked whether it may act, without one they have to look. */
const declare = async (hasRule: boolean) => {
  const target = place.newName();
  const web = `${target}-web`;
  const world = place.worldOf(target);
  let isIll = false;
  world.judgeBy(({ name }, { spec }) =>
    isIll && name === web && spec.replicas !== 1
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
      : { health: 'healthy', symptoms: [] },
  );
  if (hasRule)
    await place.declareRule(target, {
      match: 'drift.kind == "unhealthy"',
      operations: [{ op: 'scale', object: deploymentRef(web), replicas: 1 }],
    });
  await place.declare(target, { manifests: [web, `${target}-a`, `${target}-b`].map((name) => deploymentManifest(name)), critical: true });
  await place.phase(target, 'clean', 60_000);
  return {
    target,
    fallIll: (): void => {
      isIll = true;
    },
  };
};
const approvalsOf = async (target: string) =>
  (await listApprovals(database(), defaultTenancy, { state: 'all', limit: 100 })).filter(({ subject }) => subject.startsWith(`${target}:`));

test('fifty events of one fault before three controllers and three workers are one lead, one fix and one question, also when the leader is killed in it', async () => {
  await pollUntil(async () => (await leaders()).length === 1, 'a leader', 30_000);
  const [withRule, without] = [await declare(true), await declare(false)];
  const seen = new Set<number>();
  const sampling = setInterval(() => void leaders().then((names) => seen.add(names.length)), 100);
  for (const { fallIll } of [withRule, without]) fallIll();
  for (let event = 0; event < 50; event += 1) served.tell();
  const [leader = ''] = await leaders();
  // in the middle: it has begun, and nobody was asked yet, or just now
  await pollUntil(async () => (await place.fixesOf(withRule.target)).length > 0, 'it to begin', 60_000);
  await controllers.get(leader)?.kill();
  for (let event = 0; event < 50; event += 1) served.tell();
  await pollUntil(async () => (await leaders()).some((name) => name !== leader), 'another leader', 30_000);
  for (let event = 0; event < 50; event += 1) served.tell();
  const approval = await place.waiting(withRule.target, 90_000);
  await place.phase(without.target, 'asking', 90_000);
  // what comes again and again afterwards begins nothing
  for (let event = 0; event < 50; event += 1) {
    served.tell();
    if (event % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 300));
  }
  for (const { target } of [withRule, without]) expect(await place.fixesOf(target), target).toHaveLength(1);
  expect((await approvalsOf(withRule.target)).map(({ state }) => state)).toEqual(['pending']);
  expect(await approvalsOf(without.target)).toEqual([]);
  await place.answer(withRule.target, approval);
  await place.phase(withRule.target, 'clean', 90_000);
  clearInterval(sampling);
  const fixes = await place.fixesOf(withRule.target);
  expect(fixes.map(({ state }) => state)).toEqual(['fixed']);
  expect(place.worldOf(withRule.target).effects).toEqual([`${fixes[0]?.id}/do/0`]);
  expect(place.worldOf(without.target).effects).toEqual([]);
  expect(Math.max(...seen), 'never two lead').toBe(1);
  expect(
    [...controllers.values(), ...workers].filter((each) => each.isRunning()),
    'all others live',
  ).toHaveLength(5);
});
