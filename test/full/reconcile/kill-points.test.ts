import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultTenancy } from '../../../schema/ids.ts';
import { listApprovals } from '../../../store/approvals.ts';
import { chargedTo } from '../../../store/escalation-budget.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { type CrashControl, startCrashControl } from '../../support/crash-control.ts';
import { type DiagnosisPlace, propose, startDiagnosisPlace } from '../../support/diagnosis-place.ts';
import { fourSteps, hangingTarget } from '../../support/hanging-target.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import type { ReconcileWorkerOptions } from '../../support/reconcile-worker.ts';
import { serveTarget } from '../../support/remote-target.ts';
import { startTestTemporal } from '../../support/temporal.ts';
import { startWorkerProcess, type WorkerProcess } from '../../support/worker-process.ts';

let diagnosis: DiagnosisPlace;
let place: ReconcilePlace;
let control: CrashControl;
let served: Awaited<ReturnType<typeof serveTarget>>;
let options: ReconcileWorkerOptions;
let folder: string;
let worker: WorkerProcess;

beforeAll(async () => {
  diagnosis = await startDiagnosisPlace();
  const { gateway, contents } = diagnosis;
  const { address } = await startTestTemporal();
  const prefix = `points-${process.pid}-`;
  place = await startReconcilePlace({
    ...{ database: gateway.database, contents, owner: 'admin', worldPerTarget: true },
    elsewhere: { address, prefix },
  });
  served = await serveTarget(place.target);
  control = await startCrashControl({ mint: gateway.mint });
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-points-'));
  const bundle = join(folder, 'workflows.cjs');
  writeFileSync(bundle, place.bundle.code);
  options = {
    ...{ databaseUrl: gateway.config.databaseUrl, temporalAddress: address, prefix, targetUrl: served.url, bundle },
    ...{ gatewayUrl: gateway.publicUrl, control: control.url },
  };
  worker = await startWorkerProcess('./reconcile-worker.ts', options);
  diagnosis.script.answer = ({ body }) => {
    const target = targetOf(body);
    const hasLooked = body.messages.some(({ role }: { role: string }) => role === 'tool');
    if (!hasLooked) return { toolCalls: [{ name: 'look', arguments: JSON.stringify({ path: `/log/${target}` }) }] };
    const operations = fourSteps.map((step) => ({ op: 'scale', object: deploymentRef(`${target}-${step}`), replicas: 1 }));
    return propose({ diagnosis: 'It hangs until the four beside it are one each.', confidence: 0.9, operations });
  };
});
afterAll(async () => {
  await place?.stop();
  await worker?.kill();
  await place?.close();
  await served?.close();
  await control?.close();
  await diagnosis?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Whom a prompt is about. */
const targetOf = (body: unknown): string => /(shop-\d+-[0-9a-f]{4})-web/.exec(JSON.stringify(body))?.[1] ?? '';
const callsOf = (target: string): number => diagnosis.model.requests.filter(({ body }) => targetOf(body) === target).length;

/** A target whose `web` hangs until all four beside it have one replica, which no rule knows. */
const declare = async (): Promise<string> => {
  const { target, declared } = hangingTarget(place, 'it hangs');
  await place.declare(target, { ...declared, escalation: { role: 'diagnoser' } });
  return target;
};

const answered = new Set<string>();
/** Answers whatever people are asked, once each. */
const answerAll = async (): Promise<void> => {
  const pending = await listApprovals(place.database, defaultTenancy, { state: 'pending', limit: 200 });
  for (const approval of pending.filter(({ id }) => !answered.has(id))) {
    answered.add(approval.id);
    await place.answer(approval.subject.split(':')[0] ?? '', approval);
  }
};
/** Answers people's part until something is so. */
const untilAll = (targets: string[], is: (target: string) => Promise<boolean> | boolean, what: string, withinMs: number) => {
  const left = new Set(targets);
  return pollUntil(
    async () => {
      await answerAll();
      for (const target of left) if (await is(target)) left.delete(target);
      if (left.size === 0) return true;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return undefined;
    },
    what,
    withinMs,
  ).catch((error) => {
    throw new Error(`${error.message}: ${[...left].join(', ')}`);
  });
};
const isDone = async (target: string): Promise<boolean> => {
  const fixes = await place.fixesOf(target);
  return fixes.at(-1)?.endedAt != null && (await place.rowOf(target))?.phase === 'clean';
};

/**
 * After one write is before the next, so one of both is enough where nobody outside is asked. Between the outcome of a step and the next step
 * it is killed at each of four; kills around effects are those of `kill-matrix.test.ts`. Of what comes again and again the first times count.
 */
const isWorthIt = (point: string): boolean => {
  const [moment = '', times] = point.split(' #');
  // held in its look for a minute a target would count as one that cannot be read
  if (/ a look|before (a write|keeping|a dry-run)|applyStep (before|after) (an effect|a write|keeping)/.test(moment)) return false;
  const most = /^applyStep after its work/.test(moment) ? 4 : /^(checkFix|recheckFix) after a write/.test(moment) ? 3 : 1;
  const isAnswer = /^diagnoseFix after (the model|a write)|^judgeFix after/.test(moment);
  return Number(times) <= (isAnswer ? 2 : most);
};

test('a worker killed at any moment between accepted and done leaves each effect there once, one approval, and nothing unreported', {
  timeout: 600_000,
}, async () => {
  const calm = await declare();
  await place.start(calm);
  await untilAll([calm], isDone, 'the one that nothing happens to', 60_000);
  const points = control.pointsOf(calm).filter(isWorthIt);
  for (const activity of ['takeReconcile', 'lookAtTarget', 'diagnoseFix', 'checkFix', 'recheckFix', 'applyStep', 'judgeFix'])
    expect(points.filter((point) => point.startsWith(activity)).length, activity).toBeGreaterThanOrEqual(2);
  for (const point of ['before the model', 'after the model', 'before a tool', 'after a tool'])
    expect(points.filter((one) => one.includes(point)).length, point).toBeGreaterThan(0);

  const killedAt = new Map<string, string>();
  for (const point of points) killedAt.set(await declare(), point);
  const targets = [...killedAt.keys()];
  for (const [target, point] of killedAt) control.hold(target, point);
  await Promise.all(targets.map((target) => place.start(target)));
  await untilAll(targets, control.isHeld, 'all to be where they are killed', 250_000);
  await worker.kill();
  control.letGo();
  worker = await startWorkerProcess('./reconcile-worker.ts', options);
  await untilAll(targets, isDone, 'all to be done', 250_000);

  const calls = callsOf(calm);
  const all = await listApprovals(place.database, defaultTenancy, { state: 'all', limit: 1000 });
  const found = await Promise.all(
    targets.map(async (target) => {
      const fixes = await place.fixesOf(target);
      const id = fixes[0]?.id ?? '';
      const rows = await listSteps(place.database, id);
      const charged = await chargedTo(place.database, { ...defaultTenancy, target, fixId: id }, `fix/${id}`);
      return {
        at: killedAt.get(target),
        states: fixes.map(({ state }) => state),
        effects: place.worldOf(target).effects.map((effect) => effect.replace(id, '')),
        outcomes: rows.map(({ outcome }) => outcome?.kind),
        approvals: all.filter(({ subject }) => subject.startsWith(`${target}:`)).map(({ state }) => state),
        callsOver: Math.max(0, callsOf(target) - calls - 1),
        leftSetAside: charged - (fixes[0]?.costMicroUsd ?? 0),
      };
    }),
  );
  process.stdout.write(
    `killed at ${points.length} moments; calls of the model more than without: ${targets.filter((one) => callsOf(one) > calls).length}\n`,
  );
  for (const one of found)
    expect(one).toEqual({
      at: one.at,
      states: ['fixed'],
      effects: fourSteps.map((_, step) => `/do/${step}`),
      outcomes: fourSteps.map(() => 'applied'),
      approvals: ['consumed'],
      callsOver: 0,
      leftSetAside: 0,
    });
});
