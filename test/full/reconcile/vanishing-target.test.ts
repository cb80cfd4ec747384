import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../../schema/audit-event.ts';
import { defaultTenancy } from '../../../schema/ids.ts';
import { getApproval } from '../../../store/approvals.ts';
import { queryAudit } from '../../../store/audit.ts';
import { listSteps } from '../../../store/reconcile-steps.ts';
import { deleteResource } from '../../../store/resources.ts';
import { startDiagnosedPlace } from '../../support/diagnosed-place.ts';
import { type DiagnosisPlace, propose } from '../../support/diagnosis-place.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace } from '../../support/reconcile-place.ts';

let diagnosis: DiagnosisPlace;
let place: ReconcilePlace;
let close: (() => Promise<void>) | undefined;
beforeAll(async () => {
  ({ diagnosis, place, close } = await startDiagnosedPlace());
});
afterAll(() => close?.());

const phases = ['diagnosing', 'awaiting-approval', 'applying', 'verifying', 'undoing', 'asked'] as const;
type Phase = (typeof phases)[number];
const steps = ['a', 'b'];

const latch = () => {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
};

/**
 * Brings a target to a phase and stops it there: in the middle of the second of two steps, or of the undoing of the first.
 * @returns `goOn`, which lets whatever is under way end
 */
const bringTo = async (phase: Phase) => {
  const target = place.newName();
  const web = `${target}-web`;
  const world = place.worldOf(target);
  const isMended = (): boolean => steps.every((step) => world.stateOf(deploymentRef(`${target}-${step}`))?.spec.replicas === 1);
  world.judgeBy(({ name }) =>
    name === web && (!isMended() || phase === 'undoing')
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
      : { health: 'healthy', symptoms: [] },
  );
  await place.declare(target, {
    manifests: [web, ...['a', 'b', 'c', 'd'].map((step) => `${target}-${step}`)].map((name) => deploymentManifest(name)),
    escalation: { role: 'diagnoser' },
    verification: { timeoutSeconds: 1, holdSeconds: phase === 'verifying' ? 60 : 0 },
    limits: { cooldownSeconds: 0, objectsPerPlan: 5, percentPerPlan: 100 },
  });
  const { opened, open } = latch();
  let isThere = false;
  const operations = steps.map((step) => ({ op: 'scale', object: deploymentRef(`${target}-${step}`), replicas: 1 }));
  diagnosis.script.answer = async () => {
    if (phase === 'diagnosing') {
      isThere = true;
      await opened;
    }
    return phase === 'asked' ? { text: 'I would rather not.' } : propose({ diagnosis: 'It hangs.', confidence: 0.9, operations });
  };
  world.faults.apply = async (moment, id) => {
    const isHere = phase === 'applying' ? id.endsWith('/do/1') : phase === 'undoing' && id.endsWith('/undo/1');
    if (!isHere || moment !== 'after') return;
    isThere = true;
    await opened;
  };
  await place.start(target);
  if (phase === 'diagnosing') await pollUntil(() => isThere, 'the model to be asked', 60_000);
  else if (phase === 'asked') await place.phase(target, 'asking', 60_000);
  else {
    const approval = await place.waiting(target, 60_000);
    if (phase !== 'awaiting-approval') await place.answer(target, approval);
    if (phase === 'verifying') await place.phase(target, 'verifying', 60_000);
    else if (phase !== 'awaiting-approval') await pollUntil(() => isThere, `${phase}: the middle of it`, 60_000);
  }
  const fix = (await place.fixesOf(target))[0];
  if (!fix) throw new Error('there is no fix');
  return { target, world, fix, goOn: open };
};
type Brought = Awaited<ReturnType<typeof bringTo>>;

const ended = ({ target, fix }: Brought) =>
  pollUntil(
    async () => (await place.fixesOf(target)).find(({ id, endedAt }) => id === fix.id && endedAt !== null),
    `${target}: its end`,
    60_000,
  );

/** What was brought to its end well, by what vanished and in which phase. */
const proven = new Set<string>();

const saidOf: Record<Phase, { state: string; message: string }> = {
  diagnosing: { state: 'stale', message: 'The target is declared no more.' },
  'awaiting-approval': { state: 'stale', message: 'The target is declared no more.' },
  asked: { state: 'stale', message: 'The target is declared no more.' },
  applying: { state: 'failed', message: 'step 1 (scale Deployment/shop/NAME-a) was done; step 2 (scale Deployment/shop/NAME-b) was done' },
  verifying: { state: 'failed', message: 'step 1 (scale Deployment/shop/NAME-a) was done; step 2 (scale Deployment/shop/NAME-b) was done' },
  undoing: { state: 'failed', message: 'step 2 (scale Deployment/shop/NAME-b) was undone' },
};

test.each(phases)(
  'a target that is declared no more while its fix is %s is written no more, and what was done of it is said',
  async (phase) => {
    const brought = await bringTo(phase);
    const { target, world, fix, goOn } = brought;
    await deleteResource(place.database, { ...defaultTenancy, kind: 'ReconcileTarget', name: target });
    goOn();
    const already = world.effects.length;
    await place.start(target); // as the controller does
    const { state, message, approvalId } = await ended(brought);
    expect({ state, message }).toEqual({
      state: saidOf[phase].state,
      message: expect.stringContaining(saidOf[phase].message.replaceAll('NAME', target)),
    });
    await place.ended(target);
    expect(world.effects.length, 'what was under way is all').toBeLessThanOrEqual(already);
    expect((await listSteps(place.database, fix.id)).filter(({ outcome }) => outcome === null)).toEqual([]);
    if (approvalId)
      expect((await getApproval(place.database, { ...defaultTenancy, id: approvalId })).state).toBe(
        phase === 'awaiting-approval' ? 'expired' : 'consumed',
      );
    expect(await place.rowOf(target), 'nothing of it is kept').toBeUndefined();
    const audited = await queryAudit(place.database, defaultTenancy, AuditQuerySchema.parse({ action: 'applyFix', limit: 1000 }));
    const ofFix = audited.filter(({ operationId }) => operationId?.startsWith(`${fix.id}/`));
    const count = (kind: string): number => ofFix.filter((event) => event.kind === kind).length;
    expect(count('outcome'), 'each intent has its outcome').toBe(count('intent'));
    proven.add(`target ${phase}`);
  },
);

test('a step that was under way when its workflow and then its target went is put down as unknown, with its row of the audit', async () => {
  const brought = await bringTo('applying');
  const { target, fix, goOn } = brought;
  await place.workers().workflows.getHandle(place.idOf(target)).terminate();
  await deleteResource(place.database, { ...defaultTenancy, kind: 'ReconcileTarget', name: target });
  await place.start(target);
  const { state, message } = await ended(brought);
  expect({ state, message }).toEqual({ state: 'failed', message: expect.stringContaining('nobody knows what became of step 2') });
  expect((await listSteps(place.database, fix.id)).map(({ outcome }) => outcome?.kind)).toEqual(['applied', 'unknown']);
  const audited = await queryAudit(place.database, defaultTenancy, AuditQuerySchema.parse({ action: 'applyFix', limit: 1000 }));
  const ofStep = audited.filter(({ operationId }) => operationId === `${fix.id}/do/1`);
  expect(ofStep.map(({ kind, outcome }) => `${kind} ${outcome}`).sort()).toEqual(['intent pending', 'outcome unknown']);
  goOn();
});

/** Everything of its namespace is gone, with the namespace, or the whole cluster does not answer any more. */
const gone = {
  namespace: ({ world }: Brought) => {
    for (const { ref } of world.list()) world.remove(ref);
    world.faults.refuse = () => ({ kind: 'failed', reason: 'invalid', message: 'namespaces "shop" not found' });
  },
  cluster: ({ world }: Brought) => {
    world.faults.observe = () => ({ status: 'unknown', at: new Date().toISOString(), reason: 'unreachable', message: 'no route to host' });
    world.faults.apply = () => {
      throw new Error('no route to host');
    };
  },
};

test.each(phases.filter((phase) => phase !== 'asked'))(
  'a cluster that vanishes while a fix is %s leaves the target unknown, nothing of it written, and the fix goes on when it is back',
  async (phase) => {
    const brought = await bringTo(phase);
    const { target, world, fix, goOn } = brought;
    gone.cluster(brought);
    goOn();
    const already = world.effects.length;
    await place.start(target);
    if (phase !== 'undoing') await place.phase(target, 'unknown', 90_000);
    const asked = diagnosis.model.requests.length;
    await place.start(target);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect([world.effects.length, diagnosis.model.requests.length]).toEqual([already, asked]);
    world.faults.observe = undefined;
    world.faults.apply = undefined;
    await place.start(target);
    const first = await pollUntil(async () => (await place.fixesOf(target))[0], 'the fix', 60_000);
    if (first.state === 'awaiting-approval' || phase === 'diagnosing') await place.answer(target, await place.waiting(target, 60_000));
    if (phase === 'verifying') return void proven.add(`cluster ${phase}`); // its hold of a minute begins anew
    const { state } = await ended(brought);
    expect(['fixed', 'ineffective', 'rolled-back']).toContain(state);
    const effects = world.effects.map((effect) => effect.replace(fix.id, ''));
    expect(new Set(effects).size, 'each effect once').toBe(effects.length);
    expect((await listSteps(place.database, fix.id)).filter(({ outcome }) => outcome === null || outcome.kind === 'unknown')).toEqual([]);
    proven.add(`cluster ${phase}`);
  },
);

test.each(['awaiting-approval', 'applying', 'verifying'] as const)(
  'a namespace that vanishes while a fix is %s ends the fix: nothing is made of an old plan, and no half state is left unsaid',
  async (phase) => {
    const brought = await bringTo(phase);
    const { target, world, fix, goOn } = brought;
    gone.namespace(brought);
    goOn();
    await place.start(target);
    if (phase === 'awaiting-approval') {
      const open = (await place.fixesOf(target))[0];
      if (open?.state === 'awaiting-approval') await place.answer(target, await place.waiting(target)).catch(() => undefined);
    }
    const { state, message } = await ended(brought);
    expect(['stale', 'left-alone', 'failed', 'frozen', 'rolled-back', 'ineffective']).toContain(state);
    expect(message).not.toBe('');
    expect((await listSteps(place.database, fix.id)).filter(({ outcome }) => outcome === null)).toEqual([]);
    expect(world.list().filter(({ ref }) => ref.kind === 'Deployment')).toEqual([]);
    proven.add(`namespace ${phase}`);
  },
);

test('a target, its cluster or its namespace that vanishes in any phase is written no more, and nothing of it is left half done and unsaid', () => {
  const expected = [
    ...phases.map((phase) => `target ${phase}`),
    ...phases.filter((phase) => phase !== 'asked').map((phase) => `cluster ${phase}`),
    ...['awaiting-approval', 'applying', 'verifying'].map((phase) => `namespace ${phase}`),
  ];
  expect([...proven].sort()).toEqual(expected.sort());
});
