import { expect, test } from 'vitest';
import { checkPlan } from '../../reconcile/check-plan.ts';
import { diffTarget } from '../../reconcile/diff-target.ts';
import { editObject, isEdit } from '../../reconcile/edit-object.ts';
import { makePlan } from '../../reconcile/make-plan.ts';
import { overlayDesired } from '../../reconcile/overlay-desired.ts';
import type { PastFix } from '../../reconcile/past-fix.ts';
import type { Drift } from '../../schema/reconcile/drift.ts';
import type { Desired, Observation } from '../../schema/reconcile/observation.ts';
import type { ProposableOperation } from '../../schema/reconcile/operation.ts';
import { desired, now, objectOf, seen, targetOf, web } from './support.ts';

const digest = (text: string): string => `digest of ${text}`;
const drift: Drift = { kind: 'unhealthy', object: web, fields: [], symptoms: [], fingerprint: 'f', faultKind: 'k' };
const raise = (memoryLimit: string): ProposableOperation => ({ op: 'setResources', object: web, container: 'app', memoryLimit });
const before = seen(objectOf());
/** A fix of one operation as the history has it. */
const fixed = (operation: ProposableOperation, more: Partial<PastFix> = {}, declared: Desired = desired): PastFix => {
  const source = { kind: 'rule', rule: 'raise-memory' } as const;
  const made = makePlan({
    ...{ target: targetOf(), drift, operations: [operation], source, evidenceDigest: '' },
    ...{ desired: declared, observation: before, digest },
  });
  if (!made.ok) throw new Error('no plan');
  const at = new Date(now - 600_000).toISOString();
  const ended = { fingerprint: 'f', state: 'fixed', normalDigest: '', evidenceDigest: '', beganAt: at, endedAt: at } as const;
  return { ...ended, id: 'fix_1', plan: made.plan, ...more };
};
/** What is seen after operations were done to what was declared. */
const after = (...operations: ProposableOperation[]): Observation => {
  const object = objectOf();
  for (const operation of operations) {
    const edited = isEdit(operation) ? editObject(object.state, operation, 'op') : undefined;
    if (!edited?.ok) throw new Error('no edit');
    object.state = edited.wanted;
  }
  return seen(object);
};
const look = (observation: Observation, fixes: PastFix[], { target = targetOf(), declared = desired } = {}) => {
  const overlay = overlayDesired({ target, desired: declared, observation, fixes, digest });
  const { drifts } = diffTarget({ target: overlay.target, desired: overlay.effective, observation, holds: [], now });
  return { overlay, drifts };
};

test('what a verified fix raised is no drift at the next look, and is named with its field', () => {
  expect(look(after(raise('125Mi')), []).drifts).toMatchObject([{ kind: 'changed' }]);
  const { overlay, drifts } = look(after(raise('125Mi')), [fixed(raise('125Mi'))]);
  expect(drifts).toEqual([]);
  const path = '/spec/template/spec/containers/0/resources/limits/memory';
  expect(overlay.accepted).toMatchObject([{ fixId: 'fix_1', paths: [path], by: 'rule', operation: { memoryLimit: '125Mi' } }]);
  expect(overlay.target.accepted).toEqual([{ object: 'apps/Deployment/shop/web', path }]);
  // a field beside it that somebody edits is a drift all the same
  const both = after(raise('125Mi'), { op: 'scale', object: web, replicas: 7 });
  expect(look(both, [fixed(raise('125Mi'))]).drifts[0]?.fields.map((field) => field.path)).toEqual(['/spec/replicas']);
});

test('a second raise stands for the first, and a third is refused by what was declared', () => {
  const fixes = [fixed(raise('125Mi')), fixed(raise('156Mi'), { id: 'fix_2', beganAt: new Date(now - 60_000).toISOString() })];
  const { overlay, drifts } = look(after(raise('156Mi')), fixes);
  expect(drifts).toEqual([]);
  expect(overlay.accepted.map(({ fixId }) => fixId)).toEqual(['fix_2']);
  const observation = after(raise('156Mi'));
  const made = makePlan({
    ...{ target: targetOf(), drift, operations: [raise('195Mi')], source: { kind: 'rule', rule: 'raise-memory' } },
    ...{ evidenceDigest: '', desired, observation, digest },
  });
  if (!made.ok) throw new Error('no plan');
  expect(checkPlan({ plan: made.plan, target: targetOf(), desired, observation })).toMatchObject({
    ok: false,
    faults: [{ code: 'limit_out_of_bounds' }],
  });
});

test('it ends when the object is declared anew, and not when something else of the target is', () => {
  const next = { ...targetOf(), generation: 2 };
  expect(look(after(raise('125Mi')), [fixed(raise('125Mi'))], { target: next }).drifts).toEqual([]);
  const declared: Desired = structuredClone(desired);
  if (declared.status === 'read')
    (declared.objects[0] as { state: unknown }).state = { spec: { ...(objectOf().state as { spec: object }).spec, replicas: 3 } };
  const { overlay, drifts } = look(after(raise('125Mi')), [fixed(raise('125Mi'))], { target: next, declared });
  expect(overlay.accepted).toEqual([]);
  expect(drifts[0]?.fields.map(({ path }) => path)).toContain('/spec/template/spec/containers/0/resources/limits/memory');
});

test('it ends when somebody takes it back by hand, and with a fix that was rolled back', () => {
  expect(look(before, [fixed(raise('125Mi'))])).toMatchObject({ drifts: [], overlay: { accepted: [] } });
  expect(look(after(raise('50Mi')), [fixed(raise('125Mi'))]).drifts).toMatchObject([{ kind: 'changed' }]);
  expect(look(after(raise('125Mi')), [fixed(raise('125Mi'), { state: 'rolled-back' })]).drifts).toMatchObject([{ kind: 'changed' }]);
});

test('a rule of a NetworkPolicy that people approved stays, and a second one beside it does not', () => {
  const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', namespace: 'shop', name: 'out' };
  const state = { kind: 'NetworkPolicy', spec: { egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/24' } }] }] } };
  const declared: Desired = { status: 'read', digest: 'd', objects: [{ ref: policy, state, wave: 0 }] };
  const open = (cidr: string): ProposableOperation => ({
    op: 'addEgressRule',
    object: policy,
    to: { cidr },
    ports: [{ port: 53, protocol: 'UDP' }],
  });
  const rule = (cidr: string) => ({ to: [{ ipBlock: { cidr } }], ports: [{ protocol: 'UDP', port: 53 }] });
  const live = (...cidrs: string[]) =>
    seen(objectOf({ ref: policy, state: { ...state, spec: { egress: [...state.spec.egress, ...cidrs.map(rule)] } } }));
  const fixes = [fixed(open('10.9.0.10/32'), {}, declared)];
  expect(look(live('10.9.0.10/32'), fixes, { declared }).drifts).toEqual([]);
  expect(look(live('10.9.0.10/32', '0.0.0.0/0'), fixes, { declared }).drifts).toMatchObject([{ fields: [{ path: '/spec/egress' }] }]);
});

test('an accepted ignore rule is in force as long as its fix is, and a claim that a fix made is no leftover', () => {
  const ignore: ProposableOperation = { op: 'addIgnoreRule', object: web, path: '/spec/replicas' };
  const scaled = after({ op: 'scale', object: web, replicas: 7 });
  expect(look(scaled, [fixed(ignore)]).drifts).toEqual([]);
  expect(look(scaled, [fixed(ignore)]).overlay.target.spec.ignore).toMatchObject([
    { path: '/spec/replicas', reason: 'accepted by fix fix_1' },
  ]);
  expect(look(scaled, [fixed(ignore, { state: 'rolled-back' })]).drifts).toHaveLength(1);

  const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace: 'shop', name: 'data' };
  const declared: Desired = { status: 'read', digest: 'd', objects: [{ ref: claim, state: {}, wave: 0 }] };
  const copied = { ...claim, name: 'data-2' };
  const copy: ProposableOperation = { op: 'createClaim', object: copied, storageClass: 'fast', size: '1Gi', copyFrom: 'data' };
  const observation = seen(objectOf({ ref: claim }), objectOf({ ref: copied }));
  const target = targetOf({ prune: true });
  expect(look(observation, [], { target, declared }).drifts).toMatchObject([{ kind: 'extra' }]);
  expect(look(observation, [fixed(copy, {}, declared)], { target, declared }).drifts).toEqual([]);
});

test('a patched item is found by its name, wherever it stands in the declaration', () => {
  const state = structuredClone(objectOf().state) as { spec: { template: { spec: { containers: object[] } } } };
  state.spec.template.spec.containers.unshift({ name: 'sidecar', image: 'registry.example/mesh:1' });
  const port: ProposableOperation = {
    op: 'patchField',
    object: web,
    path: '/spec/template/spec/containers/1/ports/0/containerPort',
    value: 8080,
  };
  const edited = isEdit(port) ? editObject(state, port, '') : undefined;
  if (!edited?.ok) throw new Error('no edit');
  const { drifts } = look(seen(objectOf({ state: edited.wanted })), [fixed(port)]);
  expect(
    drifts.map(({ faultKind }) => faultKind),
    'the sidecar alone',
  ).toEqual(['added Deployment /spec/template/spec/containers/sidecar']);
});
