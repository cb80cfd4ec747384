import pino from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLook } from '../../control/controller/look-at-target.ts';
import { startTargetWatch } from '../../control/controller/start-target-watch.ts';
import { createTargetSweep } from '../../control/controller/sweep-targets.ts';
import { createTargetView } from '../../control/controller/target-view.ts';
import { createTargetWatch } from '../../control/controller/watch-targets.ts';
import type { TargetPort } from '../../reconcile/target-port.ts';
import { defaultTenancy, fixIdFrom } from '../../schema/ids.ts';
import type { Observation } from '../../schema/reconcile/observation.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';
import { declaredFrom } from '../../store/declared.ts';
import { openFix } from '../../store/reconcile-fixes.ts';
import { placeHold } from '../../store/reconcile-holds.ts';
import { findTarget, type TargetKey, takeTarget, writeTarget } from '../../store/reconcile-targets.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const logger = pino({ level: 'silent' });
const object = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'settings' };
let serial = 0;
let watch: ReturnType<typeof createTargetWatch> | undefined;

/** One object of a place that tests change by hand; `changed` is what a watch would say. */
const createPlace = () => {
  let value: string | undefined = 'info';
  let isAway = false;
  let changed: () => void = () => undefined;
  const looks: number[] = [];
  const observed = (): Observation => {
    const at = new Date().toISOString();
    if (isAway) return { status: 'unknown', at, reason: 'unreachable', message: 'no answer' };
    const seen = {
      ref: object,
      uid: 'u',
      version: '1',
      hash: 'h',
      health: 'healthy' as const,
      symptoms: [],
      owners: [],
      isOurs: true,
      deletingSince: '',
    };
    return { status: 'read', at, objects: value === undefined ? [] : [{ ...seen, state: { data: { level: value } } }], neighbours: [] };
  };
  const port: TargetPort = {
    type: 'kubernetes',
    desired: async () => ({ status: 'read', digest: 'd', objects: [{ ref: object, wave: 0, state: { data: { level: 'info' } } }] }),
    observe: async () => {
      looks.push(performance.now());
      return observed();
    },
    watch: (_target, tell, signal) => {
      changed = tell;
      signal.addEventListener('abort', () => {
        changed = () => undefined;
      });
    },
    dryRun: async () => ({ ok: true, diff: [] }),
    apply: async () => ({ kind: 'unchanged', at: '' }),
  };
  return {
    port,
    looks,
    /** By somebody's hand. */
    set: (next: string | undefined) => {
      value = next;
      changed();
    },
    away: (is: boolean) => {
      isAway = is;
      changed();
    },
  };
};

beforeEach(() => {
  serial += 1;
});
afterEach(() => watch?.close());

const declare = (key: TargetKey, generation = 1, more: object = {}) =>
  declareAs(key, generation, { type: 'kubernetes', namespace: 'shop', intervalSeconds: 1, manifests: [], ...more });
const declareAs = (key: TargetKey, generation: number, written: object) => {
  const spec = ReconcileTargetSpecSchema.parse(written);
  const metadata = { name: key.target, org: key.org, project: key.project };
  return declaredFrom([{ kind: 'ReconcileTarget', metadata, generation, spec } as unknown as StoredResource], []);
};

const begin = (more: object = {}) => {
  const key = { ...defaultTenancy, target: `watched-${serial}` };
  const place = createPlace();
  const starts: TargetKey[] = [];
  const time = { offsetMs: 0 };
  const clock = () => new Date(Date.now() + time.offsetMs);
  const views = createTargetView({ database: database(), clock, maxAgeMs: 0 });
  const startReconcile = async (started: TargetKey) => void starts.push(started);
  const look = createLook({ database: database(), views, startReconcile, clock, digest: (text) => text });
  watch = createTargetWatch({ ports: { of: () => place.port }, look, logger, random: () => 0.5 });
  watch.take(declare(key, 1, more));
  return { key, place, starts, watch, time };
};
const row = (key: TargetKey) => findTarget(database(), key);
const until = (work: () => void | Promise<void>) => vi.waitFor(work, { timeout: 25_000, interval: 20 });

test('a target that is as declared gets one row and no workflow, however often it is looked at', async () => {
  const { key, place, starts, watch } = begin();
  watch.lead();
  await until(async () => expect(await row(key)).toMatchObject({ phase: 'clean', fence: 0 }));
  const first = await row(key);
  const seen = place.looks.length;
  await until(() => expect(place.looks.length).toBeGreaterThan(seen + 2));
  expect(await row(key)).toEqual(first);
  expect(starts).toEqual([]);
});

test('who does not lead looks at nothing', async () => {
  const { place, watch } = begin();
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(place.looks).toEqual([]);
  watch.lead();
  await until(() => expect(place.looks.length).toBeGreaterThan(0));
  watch.rest();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const seen = place.looks.length;
  place.set('debug');
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(place.looks.length).toBe(seen);
});

test('fifty changes are one look and one start, and a drift that its workflow knows starts no other', async () => {
  const { key, place, starts, watch } = begin({ intervalSeconds: 60 });
  watch.lead();
  await until(async () => expect(await row(key)).toMatchObject({ phase: 'clean' }));
  const seen = place.looks.length;
  for (let each = 0; each < 50; each += 1) place.set('debug');
  await until(() => expect(starts).toEqual([key]));
  expect(place.looks.length).toBeLessThanOrEqual(seen + 2);
  place.set('debug'); // the workflow has not begun yet: it is on its way
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(starts).toHaveLength(1);
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const fingerprint = 'changed ConfigMap /data/level @ /ConfigMap/shop/settings';
  const drift = { kind: 'changed', object, fields: [], symptoms: [], fingerprint, faultKind: 'changed ConfigMap /data/level' } as const;
  await writeTarget(database(), key, fence, {
    phase: 'waiting',
    message: '',
    drifts: [{ ...drift, fields: [], symptoms: [] }],
    conflicts: [],
    dueAt: null,
  });
  place.set('debug');
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(starts).toHaveLength(1);
  place.set('info'); // mended by hand: whoever waits hears of it
  await until(() => expect(starts).toHaveLength(2));
});

test('what cannot be read is unknown, starts nothing, and is clean again when it answers', async () => {
  const { key, place, starts, watch } = begin();
  place.away(true);
  watch.lead();
  await until(async () => expect(await row(key)).toMatchObject({ phase: 'unknown', message: 'unreachable: no answer' }));
  place.set(undefined); // not missing: nobody knows
  await new Promise((resolve) => setTimeout(resolve, 400));
  place.set('info');
  place.away(false);
  await until(async () => expect(await row(key)).toMatchObject({ phase: 'clean', message: '' }));
  expect(starts).toEqual([]);
});

test('a hold keeps a difference from starting anything until it ends by itself', async () => {
  const { key, place, starts, watch, time } = begin();
  const untilAt = new Date(Date.now() + 3_600_000);
  const hold = { id: 'hold_1', object: '', path: '', reason: 'incident', heldBy: 'ana', decisionId: 'dec' };
  await placeHold(database(), { ...key, ...hold, untilAt });
  place.set('debug');
  watch.lead();
  await until(async () => expect(await row(key)).toMatchObject({ phase: 'clean', conflicts: [{ why: 'held' }] }));
  const seen = place.looks.length;
  await until(() => expect(place.looks.length).toBeGreaterThan(seen + 1));
  expect(starts).toEqual([]);
  time.offsetMs = 3_600_000;
  await until(() => expect(starts).toEqual([key]));
});

test('a target that is declared anew is looked at anew, and one that is not any more is left', async () => {
  const { key, place, watch } = begin({ intervalSeconds: 60 });
  watch.lead();
  await until(async () => expect(await row(key)).toMatchObject({ generation: 1 }));
  watch.take(declare(key, 2, { intervalSeconds: 60 }));
  await until(async () => expect(await row(key)).toMatchObject({ generation: 2 }));
  watch.take(declaredFrom([], []));
  const seen = place.looks.length;
  place.set('debug');
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(place.looks.length).toBe(seen);
});

const sweeping = (isRunning: boolean, laterMs: number, isDeclared: (name: string) => boolean = () => true) => {
  const starts: TargetKey[] = [];
  const asked: TargetKey[] = [];
  const sweep = createTargetSweep({
    database: database(),
    startReconcile: async (key) => void starts.push(key),
    isReconciling: async (key) => {
      asked.push(key);
      return isRunning;
    },
    isDeclared,
    clock: () => new Date(Date.now() + laterMs),
    logger,
  });
  const of = (key: TargetKey) => (list: TargetKey[]) => list.filter(({ target }) => target === key.target).length;
  return { sweep, started: (key: TargetKey) => of(key)(starts), asked: (key: TargetKey) => of(key)(asked) };
};

test('a target whose time has come is started once, until it has had the time to begin', async () => {
  const key = { ...defaultTenancy, target: `due-${serial}` };
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  await writeTarget(database(), key, fence, {
    phase: 'waiting',
    message: '',
    drifts: [],
    conflicts: [],
    dueAt: new Date(Date.now() + 5000),
  });
  const early = sweeping(true, 0);
  await early.sweep();
  expect(early.started(key)).toBe(0);
  const late = sweeping(true, 6000);
  await late.sweep();
  await late.sweep();
  expect(late.started(key)).toBe(1);
});

test('an open fix at which nobody works is taken up again, and one at which somebody does is left', async () => {
  const key = { ...defaultTenancy, target: `lost-${serial}` };
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const id = fixIdFrom(crypto.getRandomValues(new Uint8Array(10)));
  await openFix(database(), { ...key, id, fingerprint: 'f', faultKind: 'k', state: 'checking' }, fence);
  await writeTarget(database(), key, fence, { phase: 'clean', message: '', drifts: [], conflicts: [], dueAt: null });
  const young = sweeping(false, 0);
  await young.sweep();
  expect(young.asked(key)).toBe(0);
  const busy = sweeping(true, 31_000);
  await busy.sweep();
  await busy.sweep();
  expect([busy.asked(key), busy.started(key)]).toEqual([1, 0]);
  const lost = sweeping(false, 31_000);
  await lost.sweep();
  expect(lost.started(key)).toBe(1);
});

test('a fix that waits for people, of a target that is declared no more, is ended by its workflow, which is started for that', async () => {
  const key = { ...defaultTenancy, target: `left-${serial}` };
  const { fence } = await takeTarget(database(), key, { generation: 1 });
  const id = fixIdFrom(crypto.getRandomValues(new Uint8Array(10)));
  await openFix(database(), { ...key, id, fingerprint: 'f', faultKind: 'k', state: 'asked' }, fence);
  await writeTarget(database(), key, fence, { phase: 'asking', message: '', drifts: [], conflicts: [], dueAt: null });
  const declared = sweeping(false, 31_000);
  await declared.sweep();
  expect(declared.started(key)).toBe(0);
  const gone = sweeping(false, 31_000, (name) => !name.endsWith(key.target));
  await gone.sweep();
  await gone.sweep();
  expect(gone.started(key)).toBe(1);
  expect(await row(key), 'its workflow forgets it').toBeDefined();
});

test('a row of what is declared no more goes, unless something of it is open or it is frozen', async () => {
  const key = { ...defaultTenancy, target: `gone-${serial}` };
  await takeTarget(database(), key, { generation: 1 });
  await sweeping(true, 0, () => true).sweep();
  expect(await row(key)).toBeDefined();
  await sweeping(true, 0, (name) => !name.endsWith(key.target)).sweep();
  expect(await row(key)).toBeUndefined();
});

test('of a kind that this process cannot look at nothing is done: it is looked at where there is an adapter', async () => {
  const key = { ...defaultTenancy, target: 'elsewhere' };
  const looked: string[] = [];
  watch = createTargetWatch({
    ports: { of: (type) => (type === 'kubernetes' ? createPlace().port : undefined) },
    look: async ({ name }) => {
      looked.push(name);
      return { generation: 1, desired: { status: 'unreadable', message: '' }, observation: { status: 'unknown' } } as never;
    },
    logger,
    random: () => 0,
  });
  const mcp = { type: 'mcp', toolset: 't', role: 'r', observe: [{ name: 'a', tool: 'a' }], desired: {} };
  const both = [declareAs(key, 1, mcp), declare({ ...key, target: 'here' })];
  const list = both.flatMap((one) => one.list('ReconcileTarget'));
  watch.take(declaredFrom(list as StoredResource[], []));
  watch.lead();
  await until(() => expect(looked.length).toBeGreaterThanOrEqual(2));
  expect(new Set(looked)).toEqual(new Set(['here']));
  expect(watch.isDeclared(`default/default/elsewhere`)).toBe(true);
});

test('of two processes with an adapter one looks, and the other takes over when it is gone', async () => {
  const key = { ...defaultTenancy, target: `led-${serial}` };
  const start = (place: ReturnType<typeof createPlace>) =>
    startTargetWatch({
      ...{ database: database(), ports: { of: () => place.port }, startReconcile: async () => undefined },
      ...{ digest: (text: string) => text, clock: () => new Date(), intervalMs: 50, logger },
    });
  const [first, second] = [createPlace(), createPlace()];
  const [one, other] = [start(first), start(second)];
  try {
    one.take(declare(key));
    await until(async () => expect(await row(key)).toMatchObject({ phase: 'clean' }));
    other.take(declare(key));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(second.looks).toEqual([]);
    await one.close();
    await until(() => expect(second.looks.length).toBeGreaterThan(0));
  } finally {
    await one.close();
    await other.close();
  }
});
