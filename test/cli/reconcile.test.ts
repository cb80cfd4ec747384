import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TargetPort } from '../../reconcile/target-port.ts';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { defaultTenancy, fixIdFrom } from '../../schema/ids.ts';
import type { Observation } from '../../schema/reconcile/observation.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { queryAudit } from '../../store/audit.ts';
import { closeFix, openFix } from '../../store/reconcile-fixes.ts';
import { listHolds } from '../../store/reconcile-holds.ts';
import { beginStep, endStep } from '../../store/reconcile-steps.ts';
import { findTarget, freezeTarget, type TargetKey, takeTarget, writeTarget } from '../../store/reconcile-targets.ts';
import { applyResources } from '../../store/resources.ts';
import { planOf } from '../reconcile/support.ts';
import { runCli } from '../support/run-cli.ts';
import { adminToken, guestToken, type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

let api: RunningApi;
const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'web' };
let observed: Observation;
const read = (replicas: number): Observation => ({
  status: 'read',
  at: '2026-03-01T12:00:00.000Z',
  objects: [
    {
      ...{ ref: object, uid: 'u', version: '1', hash: 'h', state: { spec: { replicas } }, health: 'healthy', symptoms: [] },
      ...{ owners: [{ manager: 'kubectl-edit', operation: 'Update', paths: ['/spec/replicas'] }], isOurs: true, deletingSince: '' },
    },
  ],
  neighbours: [],
});
const port: TargetPort = {
  type: 'kubernetes',
  desired: async () => ({ status: 'read', digest: 'd', objects: [{ ref: object, wave: 0, state: { spec: { replicas: 2 } } }] }),
  observe: async () => observed,
  watch: () => undefined,
  dryRun: async () => ({ ok: true, diff: [] }),
  apply: async () => ({ kind: 'unchanged', at: '' }),
};

const declare = (name: string, more: object = {}) =>
  applyResources(
    api.database,
    [
      resourceSchemas.ReconcileTarget.parse({
        ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'ReconcileTarget', metadata: { name } },
        spec: {
          ...{ type: 'kubernetes', namespace: 'shop', contact: '+49 30 1234', escalation: { role: 'mechanic' } },
          manifests: [{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' } }],
          ...more,
        },
      }),
    ],
    'admin',
  );

beforeAll(async () => {
  api = await startRunningApi({ cedar: true, targetPorts: { of: () => port } });
  observed = read(2);
  await declare('shop');
});
afterAll(() => api.close());

const qd = (args: string[], token = reviewerToken) =>
  runCli(['reconcile', ...args], { env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: token } });
const key: TargetKey = { ...defaultTenancy, target: 'shop' };
const drift = {
  ...{ kind: 'changed', object, symptoms: [], fingerprint: 'changed Deployment /spec/replicas @ apps/Deployment/shop/web' },
  ...{
    faultKind: 'changed Deployment /spec/replicas',
    fields: [{ path: '/spec/replicas', desired: 2, observed: 9, manager: 'kubectl-edit' }],
  },
} as const;
const say = async (phase: 'clean' | 'waiting' | 'drifted', message = '', drifts: unknown[] = [], dueAt: Date | null = null) => {
  const { fence } = await takeTarget(api.database, key, { generation: 1 });
  await writeTarget(api.database, key, fence, { phase, message, drifts: drifts as never, conflicts: [], dueAt });
  return fence;
};
const changes = async (what: string) =>
  (await queryAudit(api.database, defaultTenancy, AuditQuerySchema.parse({ limit: 1000 }), api.audit.people)).filter(
    ({ action, facts }) => action === what || facts?.what === what,
  );

test('status is exit code 0 where all is as declared, and 3 where it is not or nobody knows', async () => {
  expect(await qd(['status'])).toMatchObject({ code: 3, stdout: expect.stringContaining('It was not looked at yet.') });
  await say('clean');
  const clean = await qd(['status']);
  expect(clean.code).toBe(0);
  expect(clean.stdout.split('\n')[0]?.split(/ {2,}/)).toEqual(['TARGET', 'PHASE', 'DRIFTS', 'WAITS FOR', 'SINCE', 'APPROVAL', 'WHAT']);
  await say('waiting', 'Waits: cooldown.', [drift], new Date(api.clock.now.getTime() + 120_000));
  const off = await qd(['status', 'shop']);
  expect(off.code).toBe(3);
  expect(off.stdout).toMatch(/^shop +waiting +1 +its time, /m);
  expect(JSON.parse((await qd(['status', '-o', 'json'])).stdout).targets).toMatchObject([
    { target: 'shop', type: 'kubernetes', drifts: [{ kind: 'changed' }] },
  ]);
  expect(await qd(['status', 'none'])).toMatchObject({ code: 1, stderr: expect.stringContaining('No ReconcileTarget none is declared') });
});

test('explain says what differs, who wrote it, which rule fits, what was tried, what it costs and what comes next', async () => {
  observed = read(9);
  const { code, stdout } = await qd(['explain', 'shop']);
  expect(code).toBe(0);
  expect(stdout).toContain('Deployment/shop/web differs: /spec/replicas is 9 instead of 2 (written by kubectl-edit).');
  expect(stdout).toContain('The rule reapply-declared fits it.');
  expect(stdout).toContain('Diagnoses by mechanic were charged $0.00 of $10.00 today.');
  expect(stdout).toContain('Contact: +49 30 1234.');
  expect(stdout.trim().split('\n').at(-1)).toMatch(/^Next: a rule mends Deployment\/shop\/web/);
  observed = { status: 'unknown', at: '', reason: 'unreachable', message: 'no \u001b[31manswer' };
  const away = await qd(['explain', 'shop']);
  expect(away.stdout).toContain('Nothing is done about what cannot be read.');
  expect(away.stdout).not.toContain('\u001b');
  observed = read(9);
});

test('a hold names one declared thing, is found by explain, ends by itself, and is on record with its reason', async () => {
  const held = await qd([
    'hold',
    'shop',
    '--object',
    'Deployment/web',
    '--path',
    '/spec/replicas',
    '--for',
    '2h',
    '--reason',
    'incident 42',
  ]);
  expect(held).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^hold_[0-9a-z]+: Deployment\/web\/spec\/replicas is yours until 2026-03-01T14:00:00/),
  });
  const id = held.stdout.split(':')[0] ?? '';
  expect(await listHolds(api.database, key, api.clock.now)).toMatchObject([
    { id, object: 'apps/Deployment/shop/web', path: '/spec/replicas', heldBy: 'reviewer', reason: 'incident 42' },
  ]);
  const explained = await qd(['explain', 'shop']);
  expect(explained.stdout).toContain(
    `Deployment/shop/web/spec/replicas is held by reviewer until 2026-03-01T14:00:00.000Z (${id}): incident 42.`,
  );
  expect(explained.stdout).toContain('Deployment/shop/web/spec/replicas differs and is held.');
  expect(explained.stdout).toContain('Next: it waits until 2026-03-01T14:00:00.000Z.');
  expect(await listHolds(api.database, key, new Date('2026-03-01T14:00:00Z')), 'over by itself').toEqual([]);
  expect(await qd(['hold', 'shop', '--object', 'Deployment/api', '--for', '1h', '--reason', 'x'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('declares no Deployment/api; it keeps Deployment/shop/web'),
  });
  expect((await qd(['hold', 'shop', '--reason', 'x'])).code).toBe(2);
  expect((await qd(['hold', 'shop', '--for', '1h'])).code).toBe(2);
  expect((await qd(['hold', 'shop', '--for', '60d', '--reason', 'x'])).code).not.toBe(0);
  expect(await changes('hold')).toMatchObject([
    { person: 'reviewer', resource: 'ReconcileTarget/shop', facts: { reason: 'incident 42', hold: id } },
  ]);
  const looks = api.temporal.looks.length;
  expect(await qd(['release', 'shop', id])).toMatchObject({ code: 0, stdout: `${id}: released\n` });
  expect(api.temporal.looks.slice(looks), 'it is looked at at once').toEqual([key]);
  const lifted = (await qd(['explain', 'shop'])).stdout;
  expect(lifted).not.toContain('is held by');
  expect(lifted.trim().split('\n').at(-1)).toMatch(/^Next: people are asked\. People held Deployment\/shop\/web until 2026-03-01T12:00:00/);
  expect(await qd(['release', 'shop', id])).toMatchObject({ code: 1, stderr: expect.stringContaining('has no such hold') });
});

test('a pause outlives the next apply, ends by itself or by resume, and one of the project is said to be that', async () => {
  expect((await qd(['pause', '--reason', 'x'])).code, 'neither a target nor --all').toBe(2);
  expect(await qd(['pause', 'shop', '--for', '30m', '--reason', 'migration'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('paused until 2026-03-01T12:30:00'),
  });
  await declare('shop', { contact: '+49 30 5678' });
  expect((await qd(['status', 'shop'])).stdout).toContain('resume (paused by reviewer, ends ');
  expect((await qd(['explain', 'shop'])).stdout).toContain('Paused by reviewer: migration');
  expect((await qd(['resume', 'shop'])).code).toBe(0);
  expect(await qd(['resume', 'shop'])).toMatchObject({ code: 1, stderr: expect.stringContaining('shop is not paused') });
  await qd(['pause', '--all', '--reason', 'move']);
  expect(await qd(['resume', 'shop'])).toMatchObject({ code: 1, stderr: expect.stringContaining('reconcile resume --all') });
  const looks = api.temporal.looks.length;
  await say('waiting', '', [drift]);
  expect((await qd(['resume', '--all'])).code).toBe(0);
  expect(api.temporal.looks.slice(looks), 'what waited is looked at').toEqual([key]);
  expect((await changes('pause')).map(({ resource }) => resource).sort()).toEqual(['ReconcileTarget/*', 'ReconcileTarget/shop']);
});

test('now has it looked at, and a script waits and hears by the exit code what came of it', async () => {
  const looks = api.temporal.looks.length;
  api.temporal.state.gone = true; // the workflow has ended
  await say('clean');
  expect(await qd(['now', 'shop', '--wait'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^shop +clean/m) });
  await say('drifted', '', [drift]);
  expect((await qd(['now', 'shop', '--wait'])).code).toBe(3);
  expect(api.temporal.looks.length).toBe(looks + 2);
  api.temporal.state.gone = false;
  expect(await qd(['now', 'shop', '--wait', '--timeout', '1s'])).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('reconcile explain shop'),
  });
  expect((await changes('now')).length).toBe(3);
});

test('history shows the plan, what each step changed by its hashes, and how it ended', async () => {
  const fence = await say('drifted', '', [drift]);
  const id = fixIdFrom(crypto.getRandomValues(new Uint8Array(10)));
  const plan = planOf({ op: 'reapply', object });
  await openFix(api.database, { ...key, id, fingerprint: drift.fingerprint, faultKind: drift.faultKind, state: 'checking' }, fence);
  await beginStep(api.database, { fixId: id, direction: 'do', step: 0, fence, beforeHash: 'b'.repeat(64) });
  await endStep(
    api.database,
    { fixId: id, direction: 'do', step: 0 },
    { kind: 'applied', version: '2', hash: 'a'.repeat(64), uid: 'u', at: '2026-03-01T12:00:01Z' },
    'a'.repeat(64),
  );
  await closeFix(api.database, { ...key, id }, 'fixed', { plan, planDigest: 'c'.repeat(64), message: 'It held.' }, fence);
  const { stdout } = await qd(['history', 'shop']);
  expect(stdout).toContain(`${id}: fixed`);
  expect(stdout).toContain('1. reapply Deployment/shop/web');
  expect(stdout).toContain('step 1: applied at 2026-03-01T12:00:01Z, bbbbbbbbbbbb -> aaaaaaaaaaaa');
  expect(stdout).toContain(`digest    ${'c'.repeat(64)}`);
  expect((await qd(['explain', 'shop'])).stdout).toContain(`Before: ${id}`);
});

test('what an undo has frozen is thawed by an administrator who says why, and by nobody else', async () => {
  const fence = await say('drifted', '', [drift]);
  await freezeTarget(api.database, key, fence, 'An undo failed.');
  expect((await qd(['status'])).stdout).toContain('a person, who lifts the freeze');
  expect((await qd(['thaw', 'shop', '--reason', 'looked'])).code).toBe(4);
  expect((await findTarget(api.database, key))?.frozen).toBe(true);
  expect((await qd(['thaw', 'shop', '--reason', 'put back by hand'], adminToken)).code).toBe(0);
  expect(await findTarget(api.database, key)).toMatchObject({ frozen: false });
  expect((await changes('thawTarget')).map(({ kind, person }) => [kind, person]).sort()).toEqual([
    ['change', 'admin'],
    ['refusal', 'reviewer'],
  ]);
});

test('who may do nothing sees and steers nothing, and each refusal is on record', async () => {
  const asked = [
    ['status'],
    ['explain', 'shop'],
    ['history', 'shop'],
    ['now', 'shop'],
    ['pause', 'shop', '--reason', 'x'],
    ['hold', 'shop', '--for', '1h', '--reason', 'x'],
  ];
  const codes = await Promise.all(asked.map(async (args) => (await qd(args, guestToken)).code));
  expect(codes).toEqual(asked.map(() => 4));
  expect((await changes('steerTarget')).filter(({ kind, person }) => kind === 'refusal' && person === 'guest')).toHaveLength(3);
});
