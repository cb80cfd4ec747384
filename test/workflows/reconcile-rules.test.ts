import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import { liftHold, placeHold } from '../../store/reconcile-holds.ts';
import { liftPause, placePause } from '../../store/reconcile-pauses.ts';
import { listSteps } from '../../store/reconcile-steps.ts';
import { findResource } from '../../store/resources.ts';
import type { State } from '../support/memory-world.ts';
import { pollUntil } from '../support/poll-until.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../support/reconcile-place.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
// a story of many activities, on a machine that may be busy
vi.setConfig({ testTimeout: 90_000 });
let place: ReconcilePlace;
beforeAll(async () => {
  place = await startReconcilePlace({ database: database() });
});
afterAll(() => place.close());
beforeEach(async () => {
  await place.stop();
  for (const { ref } of place.world.list()) place.world.remove(ref);
  place.world.effects.length = 0;
  Object.assign(place.world.faults, { observe: undefined, apply: undefined, refuse: undefined, admit: undefined });
  place.world.judgeBy(() => ({ health: 'healthy', symptoms: [] }));
});

const scaleTo = (replicas: number) => (state: State) => {
  state.spec.replicas = replicas;
};
const states = async (name: string): Promise<string[]> => (await place.fixesOf(name)).map(({ state }) => state);
const run = async (name: string): Promise<void> => {
  await place.start(name);
  await place.ended(name);
};

test('somebody who takes a field back three times is left alone: the target is contested, and people are asked once', async () => {
  const name = place.newName();
  await place.declare(name);
  for (let revert = 1; revert <= 3; revert += 1) {
    place.world.edit(deploymentRef(), scaleTo(9), 'someone');
    await run(name);
    expect(place.world.effects.length).toBe(revert);
  }
  place.world.edit(deploymentRef(), scaleTo(9), 'someone');
  await run(name);
  await run(name);
  await run(name);
  expect(place.world.effects.length, 'nothing is written any more').toBe(3);
  expect(await place.rowOf(name)).toMatchObject({ phase: 'contested', drifts: [{ kind: 'changed' }] });
  expect(await states(name)).toEqual(['fixed', 'fixed', 'fixed', 'asked']);
  expect((await place.fixesOf(name)).at(-1)?.message).toContain('no-role');
});

test('of two targets that keep one object without knowing of each other one is contested after a few turns, and neither writes any more', async () => {
  const [one, other] = [place.newName(), place.newName()];
  await place.declare(one);
  await place.declare(other, { manifests: [deploymentManifest('web', { spec: { replicas: 5 } })] });
  for (let turn = 0; turn < 6; turn += 1) for (const name of [one, other]) await run(name);
  const writes = place.world.effects.length;
  expect(writes).toBeLessThanOrEqual(6);
  for (const name of [one, other]) await run(name);
  expect(place.world.effects.length, 'nothing is written any more').toBe(writes);
  const phases = await Promise.all([one, other].map(async (name) => (await place.rowOf(name))?.phase));
  expect(phases, 'the last to write has what it wants').toContain('contested');
});

test('a container that somebody added is proposed to be taken away without a model: people decide, and what the target lets be is left', async () => {
  const name = place.newName();
  const spy = { name: 'spy', image: 'evil:1' };
  const path = '/spec/template/spec/containers/spy';
  const addSpy = (): void => place.world.edit(deploymentRef(), ({ spec }) => void spec.template.spec.containers.push(spy), 'mesh-injector');
  const containers = (): unknown[] => place.worldState('web').spec.template.spec.containers;
  await place.declare(name);
  addSpy();
  await place.start(name);
  const asked = await place.waiting(name);
  expect([containers().length, place.world.effects.length], 'nothing is done about it by itself').toEqual([2, 0]);
  expect(
    (await place.fixesOf(name)).map(({ plan, modelCalls }) => [plan?.source, plan?.steps.map(({ operation }) => operation), modelCalls]),
  ).toEqual([[{ kind: 'rule', rule: 'remove-undeclared' }, [{ op: 'removeUndeclared', object: deploymentRef(), paths: [path] }], 0]]);
  await place.answer(name, asked);
  await place.ended(name);
  expect([await states(name), containers().length]).toEqual([['fixed'], 1]);

  addSpy();
  await place.start(name);
  await place.phase(name, 'awaiting-approval', 45_000);
  await place.answer(name, await place.waiting(name), 'rita', 'deny');
  await place.phase(name, 'waiting', 45_000);
  expect(containers(), 'people said no').toHaveLength(2);
  await place.declare(name, { ignore: [{ path, reason: 'the mesh' }] });
  await run(name);
  expect(await place.rowOf(name)).toMatchObject({ phase: 'clean', drifts: [] });
});

test('fifty events make one fix', async () => {
  const name = place.newName();
  await place.declare(name);
  place.world.remove(deploymentRef());
  place.world.faults.apply = (moment) => (moment === 'before' ? new Promise((resolve) => setTimeout(resolve, 300)) : undefined);
  await Promise.all(Array.from({ length: 50 }, () => place.start(name)));
  await place.ended(name);
  expect(place.world.effects.length).toBe(1);
  expect(await states(name)).toEqual(['fixed']);
  const row = await place.rowOf(name);
  expect(row).toMatchObject({ phase: 'clean' });
});

test('waves: the second waits until the first is well; what is declared no more goes in reverse; an empty declaration deletes nothing', async () => {
  const name = place.newName();
  const inWave = (one: string, wave: number) =>
    deploymentManifest(one, { metadata: { annotations: { 'quarterdeck.dev/wave': String(wave) } } });
  const kept = ['keep-1', 'keep-2', 'keep-3'].map((one) => inWave(one, 0));
  const manifests = [...kept, inWave('first', 0), inWave('second', 1)];
  const isThere = (one: string): boolean => place.world.find(deploymentRef(one)) !== undefined;
  await place.declare(name, { manifests });
  place.world.remove(deploymentRef('second'));
  place.world.judgeBy(({ name: one }) => ({ health: one === 'first' ? 'progressing' : 'healthy', symptoms: [] }));
  await run(name);
  expect(await place.rowOf(name)).toMatchObject({ phase: 'waiting', message: expect.stringContaining('of wave 0 comes first') });
  expect([isThere('second'), place.world.effects]).toEqual([false, []]);
  place.world.judgeBy(() => ({ health: 'healthy', symptoms: [] }));
  await run(name);
  expect(isThere('second')).toBe(true);

  await place.declare(name, { manifests: [], prune: true });
  await run(name);
  expect(
    manifests.every(({ metadata }) => isThere(metadata.name)),
    'empty is far more often a mistake',
  ).toBe(true);
  // each deletion is asked about, and the second wave goes first: the first is not even asked about before it is gone
  await place.declare(name, { manifests: kept, prune: true });
  await place.start(name);
  for (const gone of ['second', 'first']) {
    const open = await pollUntil(
      async () => {
        const waits = (await place.fixesOf(name)).filter(({ state }) => state === 'awaiting-approval');
        return waits.length > 0 ? waits : undefined;
      },
      `the deletion of ${gone} to be asked about`,
      45_000,
    );
    expect(open.map(({ plan }) => plan?.steps.map(({ operation }) => `${operation.op} ${operation.object.name}`))).toEqual([
      [`prune ${gone}`],
    ]);
    await place.answer(name, await place.waiting(name));
    await pollUntil(() => !isThere(gone) || undefined, `${gone} to be gone`, 45_000);
  }
  await place.ended(name);
  expect(kept.every(({ metadata }) => isThere(metadata.name))).toBe(true);
});

test('the sixth change within an hour is held for a person, and so is each of a critical target', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const name = place.newName();
  await place.declare(name, { manifests: [...names, 'g', 'h'].map((one) => deploymentManifest(one)) });
  for (const [index, one] of names.entries()) {
    place.world.remove(deploymentRef(one));
    await place.start(name);
    if (index < 5) await place.ended(name);
  }
  await pollUntil(async () => (await place.fixesOf(name))[5], 'a sixth fix', 30_000);
  const approval = await place.waiting(name);
  expect(place.world.effects).toHaveLength(5);
  expect((await place.fixesOf(name)).map(({ state }) => state)).toEqual([...Array(5).fill('fixed'), 'awaiting-approval']);
  await place.answer(name, approval);
  await place.ended(name);
  expect(place.world.effects).toHaveLength(6);
  const critical = place.newName();
  await place.declare(critical, { manifests: [deploymentManifest('i')], critical: true });
  place.world.remove(deploymentRef('i'));
  await place.start(critical);
  await place.waiting(critical);
  expect(place.world.effects).toHaveLength(6);
});

describe('what cannot be read', () => {
  test('is unknown: nothing is created, pruned or asked, and it goes on within an interval', async () => {
    const name = place.newName();
    await place.declare(name, { prune: true });
    place.world.remove(deploymentRef());
    for (const reason of ['unreachable', 'throttled', 'refused', 'incomplete'] as const) {
      place.world.faults.observe = () => ({ status: 'unknown', at: '', reason, message: 'no answer' });
      await run(name);
      const row = await place.rowOf(name);
      expect(row).toMatchObject({ phase: 'unknown', message: `${reason}: no answer` });
      const dueInMs = Date.parse(row?.dueAt ?? '') - Date.now();
      expect(dueInMs).toBeGreaterThan(0);
      expect(dueInMs).toBeLessThanOrEqual(60_000);
    }
    expect([place.world.effects, await states(name)]).toEqual([[], []]);
    place.world.faults.observe = undefined;
    await run(name);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'clean' });
    expect(place.world.effects.length).toBe(1);
  });

  test('in the middle of a fix leaves it as it is until it can be read again', async () => {
    const name = place.newName();
    await place.declare(name, { verification: { timeoutSeconds: 5, holdSeconds: 1 } });
    place.world.remove(deploymentRef());
    place.world.faults.apply = (moment) => {
      if (moment === 'after') place.world.faults.observe = () => ({ status: 'unknown', at: '', reason: 'unreachable', message: 'gone' });
    };
    await run(name);
    expect(await states(name)).toEqual(['verifying']);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'unknown' });
    place.world.faults.observe = undefined;
    place.world.faults.apply = undefined;
    await run(name);
    expect(await states(name)).toEqual(['fixed']);
    expect(place.world.effects.length).toBe(1);
  });
});

describe('what a person does', () => {
  test('between the plan and its apply is kept: the precondition fails and it is looked at anew', async () => {
    const name = place.newName();
    await place.declare(name);
    place.world.edit(deploymentRef(), scaleTo(9), 'someone');
    let edited = false;
    place.world.faults.apply = (moment) => {
      if (moment !== 'before' || edited) return;
      edited = true;
      place.world.edit(deploymentRef(), (state) => {
        state.metadata.labels = { hand: 'yes' };
      });
    };
    await run(name);
    const [first, ...rest] = await place.fixesOf(name);
    expect(first).toMatchObject({ state: 'stale' });
    expect(first?.message).toContain('precondition');
    expect(rest.map(({ state }) => state)).toEqual(['fixed']);
    expect(place.world.effects.length).toBe(1);
  });

  test('while it is paused, held or outside its windows: seen and reported, and nothing is written', async () => {
    const name = place.newName();
    await place.declare(name);
    place.world.edit(deploymentRef(), scaleTo(9), 'someone');
    const key = { ...defaultTenancy, target: name };
    await placePause(database(), { ...key, reason: 'incident', pausedBy: 'rita', decisionId: 'd', untilAt: null });
    await run(name);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'waiting', message: 'Paused by rita: incident', drifts: [{ kind: 'changed' }] });
    await liftPause(database(), key);
    const hold = { ...key, id: 'h', object: '', path: '', reason: 'hot fix', heldBy: 'rita', decisionId: 'd' };
    await placeHold(database(), { ...hold, untilAt: new Date(Date.now() + 3_600_000) });
    await run(name);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'waiting', drifts: [], conflicts: [{ why: 'held' }] });
    await database().$client.query('delete from reconcile_holds');
    const minute = (offset: number): string => new Date(Date.now() + offset * 60_000).toISOString().slice(11, 16);
    await place.declare(name, { windows: [{ kind: 'deny', from: minute(-10), to: minute(60) }] });
    await run(name);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'waiting', drifts: [{ kind: 'changed' }] });
    expect(place.world.effects).toEqual([]);
    await place.declare(name);
    await run(name);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'clean' });
    expect(place.world.effects.length).toBe(1);
  });

  test('under a hold that is lifted early is asked about at once, and not taken back', async () => {
    const name = place.newName();
    await place.declare(name);
    const key = { ...defaultTenancy, target: name };
    const hold = { ...key, id: 'h', object: '', path: '', reason: 'hot fix', heldBy: 'rita', decisionId: 'd' };
    await placeHold(database(), { ...hold, untilAt: new Date(Date.now() + 3_600_000) });
    place.world.edit(deploymentRef(), scaleTo(9), 'rita');
    await run(name);
    expect(await place.rowOf(name)).toMatchObject({ phase: 'waiting', conflicts: [{ why: 'held' }] });
    await liftHold(database(), hold, new Date());
    await run(name);
    expect(await states(name)).toEqual(['asked']);
    expect((await place.rowOf(name))?.message).toContain('People held it until lately');
    expect([place.world.effects, place.worldState('web').spec.replicas]).toEqual([[], 9]);
  });

  test('a target that nobody declares any more is forgotten, with what was open for it', async () => {
    const name = place.newName();
    await place.declare(name);
    await run(name);
    await database().$client.query('delete from resources where name = $1', [name]);
    await run(name);
    expect(await place.rowOf(name)).toBeUndefined();
  });
});

test('a plan that only waits says what for and until when, and is gone on with when its workflow was lost', async () => {
  const name = place.newName();
  await place.declare(name, { rulesOff: ['wait-for-capacity'] });
  await place.declareRule(name, { match: 'drift.kind == "unhealthy"', operations: [{ op: 'wait', object: deploymentRef(), seconds: 3 }] });
  const full = [{ code: 'Unschedulable', message: 'no node', count: 1 }];
  place.world.judgeBy(() => ({ health: 'degraded', symptoms: full }));
  await place.start(name);
  const row = await place.phase(name, 'waiting');
  expect(row.message).toMatch(/^Until \S+ it is waited for unhealthy Deployment Unschedulable to pass at Deployment\/shop\/web\.$/);
  expect(row.message).toContain(row.dueAt);
  await place.stop(); // the workflow is gone; the row says when the next one begins
  place.world.judgeBy(() => ({ health: 'healthy', symptoms: [] }));
  await run(name);
  expect(await states(name)).toEqual(['fixed']);
  expect((await place.fixesOf(name))[0]?.message).toBe(
    `Deployment/shop/web is well again: wait Deployment/shop/web seconds=3 (by the rule rule-${name}).`,
  );
  expect(place.world.effects).toEqual([]);
});

describe('where somebody writes a field anew at each write (K15)', () => {
  /** A sidecar's revision, another one at each write: ours, people's and the system's own. */
  const rewrite = (): void => {
    let revision = 0;
    place.world.faults.admit = (_ref, state: State) => {
      revision += 1;
      state.spec.template.revision = `r${revision}`;
    };
  };
  const declared = deploymentManifest();
  declared.spec.template.revision = 'r0';
  const begin = async (afterOurs: (state: State) => void) => {
    const name = place.newName();
    await place.declare(name, { manifests: [declared], verification: { timeoutSeconds: 1, holdSeconds: 0 } });
    rewrite();
    place.world.edit(deploymentRef(), () => undefined, 'someone');
    // what a controller of the system writes to it goes the same way
    place.world.faults.apply = (moment, operationId) => {
      if (moment === 'after' && operationId.endsWith('/do/0')) place.world.edit(deploymentRef(), afterOurs, 'system');
    };
    await place.start(name);
    return name;
  };

  test('what was done in vain is undone: the field is left out of what has to be the same, and nothing else is', async () => {
    const name = await begin(() => undefined);
    const fix = await pollUntil(async () => (await place.fixesOf(name)).find(({ endedAt }) => endedAt !== null), 'an ended fix');
    expect(fix).toMatchObject({ state: 'ineffective' });
    expect(fix.message).toContain('somebody else writes Deployment/shop/web/spec/template/revision anew');
    expect(place.world.effects.map((effect) => effect.slice(fix.id.length))).toEqual(['/do/0', '/undo/0']);
    expect(await place.rowOf(name)).toMatchObject({ frozen: false });
  });

  test("a person's edit of another field in between is kept, and the target is frozen as ever", async () => {
    const name = await begin((state) => {
      state.spec.replicas = 7;
    });
    await place.phase(name, 'frozen');
    expect(place.worldState('web').spec.replicas).toBe(7);
    expect((await place.rowOf(name))?.message).toContain('somebody changed it since');
  });
});

describe('a plan of four steps', () => {
  const names = ['a', 'b', 'c', 'd'];
  const manifests = ['web', ...names, 'e', 'f', 'g', 'h'].map((name) => deploymentManifest(name));
  /** `web` hangs until all four have one replica each. */
  const hang = (): void =>
    place.world.judgeBy(({ name }) => {
      const isMended = names.every((one) => (place.worldState(one)?.spec.replicas ?? 0) === 1);
      return name === 'web' && !isMended
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] }
        : { health: 'healthy', symptoms: [] };
    });
  const declare = async (name: string): Promise<void> => {
    await place.declare(name, { manifests });
    await place.declareRule(name, {
      match: 'drift.kind == "unhealthy"',
      operations: names.map((one) => ({ op: 'scale', object: deploymentRef(one), replicas: 1 })),
    });
    hang();
  };

  test('waits for people, and is then applied as it was approved', async () => {
    const name = place.newName();
    await declare(name);
    await place.start(name);
    const approval = await place.waiting(name);
    const [fix] = await place.fixesOf(name);
    expect(approval).toMatchObject({ kind: 'fix', digest: fix?.planDigest, person: 'owner', operationId: fix?.id });
    expect(place.world.effects).toEqual([]);
    await place.answer(name, approval);
    await place.ended(name);
    expect(await states(name)).toEqual(['fixed']);
    expect(place.world.effects).toEqual([0, 1, 2, 3].map((step) => `${fix?.id}/do/${step}`));
    expect(await place.rowOf(name)).toMatchObject({ phase: 'clean' });
    await run(name);
    expect(await place.rowOf(name), 'what a verified fix made stays').toMatchObject({ phase: 'clean', drifts: [] });
    expect(place.world.effects.length).toBe(4);
  });

  const everyDay = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
  test.each([
    ['a pause', 'finish', 'finished'],
    ['a pause', 'undo', 'taken back'],
    ['a window that closes', 'undo', 'taken back'],
  ] as const)('that is stopped in the middle by %s is, where its target says %s, %s', async (by, onStop, _becomes) => {
    const name = place.newName();
    await declare(name);
    await place.declare(name, { manifests, onStop });
    const before = place.world.text();
    const key = { ...defaultTenancy, target: name };
    const minute = (offset: number): string => new Date(Date.now() + offset * 60_000).toISOString().slice(11, 16);
    const deny = [{ kind: 'deny', days: everyDay, from: minute(-10), to: minute(60), timeZone: 'UTC' }];
    let stopped = false;
    place.world.faults.apply = async (moment, operationId) => {
      if (moment !== 'after' || !operationId.endsWith('/do/1') || stopped) return;
      stopped = true;
      if (by === 'a pause') await placePause(database(), { ...key, reason: 'incident', pausedBy: 'rita', decisionId: 'd', untilAt: null });
      // time passes over the edge of a window that was declared before
      else
        await database().$client.query(`update resources set spec = jsonb_set(spec, '{windows}', $2::jsonb) where name = $1`, [
          name,
          JSON.stringify(deny),
        ]);
    };
    await place.start(name);
    await place.answer(name, await place.waiting(name));
    const end = onStop === 'finish' ? 'fixed' : 'stopped';
    const fix = await pollUntil(async () => (await place.fixesOf(name)).find(({ state }) => state === end), end, 45_000);
    const done = place.world.effects.map((effect) => effect.slice(fix.id.length));
    if (onStop === 'finish') expect(done).toEqual(['/do/0', '/do/1', '/do/2', '/do/3']);
    else {
      expect(done).toEqual(['/do/0', '/do/1', '/undo/1', '/undo/0']);
      expect(place.world.text()).toBe(before);
      expect(fix.message).toContain('is taken back, as the target says');
      await place.phase(name, 'waiting');
    }
    await liftPause(database(), key);
  });

  test('whose third fails is undone in reverse, exactly', async () => {
    const name = place.newName();
    await declare(name);
    const before = place.world.text();
    place.world.faults.refuse = (operationId) =>
      operationId.endsWith('/do/2') ? { kind: 'failed', reason: 'refused', message: 'not today' } : undefined;
    await place.start(name);
    const approval = await place.waiting(name);
    await place.answer(name, approval);
    const fix = await pollUntil(async () => (await place.fixesOf(name)).find(({ state }) => state === 'failed'), 'a failed fix');
    expect(place.world.text()).toBe(before);
    expect(place.world.effects.map((effect) => effect.slice(fix.id.length))).toEqual(['/do/0', '/do/1', '/undo/1', '/undo/0']);
    expect((await listSteps(database(), fix.id)).filter(({ direction }) => direction === 'undo')).toMatchObject([
      { step: 0, outcome: { kind: 'applied' } },
      { step: 1, outcome: { kind: 'applied' } },
    ]);
    expect(fix.message).toContain('Step 3 failed (refused): not today');
  });

  test('whose undoing fails freezes the target and calls people; nothing is written until a person lifts it', async () => {
    const name = place.newName();
    await declare(name);
    await place.declareChannel('pager');
    await place.declare(name, { manifests, channels: ['pager'], contact: 'the desk, 555' });
    place.world.faults.refuse = (operationId) =>
      /\/do\/2$|\/undo\/0$/.test(operationId) ? { kind: 'failed', reason: 'refused', message: 'not today' } : undefined;
    await place.start(name);
    await place.answer(name, await place.waiting(name));
    await place.ended(name);
    expect((await states(name)).at(-1)).toBe('frozen');
    const row = await place.rowOf(name);
    expect(row).toMatchObject({ phase: 'frozen', frozen: true });
    expect(row?.message).toContain('step 1 could not be undone: not today');
    const { rows } = await database().$client.query(
      `select event, text from channel_deliveries where channel = 'pager' and project = 'default'`,
    );
    expect(rows).toEqual([{ event: 'page', text: expect.stringContaining('the desk, 555') }]);
    const effects = place.world.effects.length;
    place.world.remove(deploymentRef('h'));
    await run(name);
    expect(place.world.effects.length).toBe(effects);
    expect(await place.rowOf(name)).toMatchObject({
      phase: 'frozen',
      drifts: expect.arrayContaining([expect.objectContaining({ kind: 'missing' })]),
    });
  });
});

describe('a learned rule whose fix does not hold', () => {
  /** Targets whose worker ended once, right after their fix had. */
  const interrupted = new Set<string>();
  beforeAll(async () => {
    const { learn } = place.collaborators;
    await place.restart({
      learn: async (fix) => {
        if (interrupted.has(fix.target)) return learn(fix);
        interrupted.add(fix.target);
        throw new Error('the worker has ended');
      },
    });
  });

  test.each([
    ['is undone', 'ineffective', undefined],
    ['cannot be undone', 'frozen', /\/undo\/0$/],
  ] as const)(
    'and %s is demoted at once, though its worker ends between the end of the fix and the lesson',
    async (_what, end, refused) => {
      const name = place.newName();
      await place.declare(name, {
        manifests: ['web', 'a', 'b', 'c'].map((one) => deploymentManifest(one)),
        verification: { timeoutSeconds: 1, holdSeconds: 0 },
      });
      const origin = { faultKind: 'unhealthy Deployment Stuck', normalDigest: 'd', fixes: ['fix_a'] };
      const operations = [{ op: 'scale', object: deploymentRef(), replicas: 1 }];
      await place.declareRule(name, { match: 'drift.kind == "unhealthy"', operations, state: 'live', origin });
      place.world.judgeBy(({ name: one }) =>
        one === 'web' ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] } : { health: 'healthy', symptoms: [] },
      );
      place.world.faults.refuse = (id) => (refused?.test(id) ? { kind: 'failed', reason: 'refused', message: 'not today' } : undefined);
      await place.start(name);
      await pollUntil(async () => (await states(name)).includes(end), `${name}: ${end}`, 45_000);
      const rule = () => findResource(database(), { ...defaultTenancy, kind: 'ReconcileRule', name: `rule-${name}` });
      const demoted = await pollUntil(
        async () => ((await rule())?.spec.state === 'demoted' ? rule() : undefined),
        'the rule demoted',
        45_000,
      );
      const [fix] = await place.fixesOf(name);
      expect(interrupted.has(name)).toBe(true);
      expect(demoted?.spec.demotedBy).toBe(`${fix?.id} ended ${end} on ${name}`);
      const told = await queryAudit(database(), defaultTenancy, AuditQuerySchema.parse({ action: 'learnRule', limit: 100 }));
      expect(told.filter(({ operationId }) => operationId === fix?.id)).toMatchObject([{ facts: { change: 'demoted', state: end } }]);
    },
  );
});
