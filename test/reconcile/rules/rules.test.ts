import { describe, expect, test } from 'vitest';
import { checkPlan } from '../../../reconcile/check-plan.ts';
import { chooseRule } from '../../../reconcile/choose-rule.ts';
import { diffTarget } from '../../../reconcile/diff-target.ts';
import { makePlan } from '../../../reconcile/make-plan.ts';
import type { PastFix } from '../../../reconcile/past-fix.ts';
import { ruleCatalogue } from '../../../reconcile/rules/catalogue.ts';
import { undoPlan } from '../../../reconcile/undo-plan.ts';
import { whatNow } from '../../../reconcile/what-now.ts';
import type { Desired, Observation, ObservedObject } from '../../../schema/reconcile/observation.ts';
import { ReconcileTargetSpecSchema } from '../../../schema/resources/reconcile-target.ts';
import { declaredWeb, desired, now, objectOf, planOf, seen, targetOf, web } from '../support.ts';

type Look = { observation: Observation; declared?: Desired; target?: ReturnType<typeof targetOf>; fixes?: PastFix[] };
const digest = (text: string): string => `digest of ${text}`;

/** From what is seen to what a rule does about it, as the loop goes; what is chosen has to pass the checks. */
const mend = ({ observation, declared = desired, target = targetOf(), fixes = [] }: Look) => {
  const { drifts, conflicts } = diffTarget({ target, desired: declared, observation, holds: [], now });
  const input = { target, drifts, conflicts, fixes, holds: [], desired: declared, observation, frozen: false, pause: null, now };
  const decided = whatNow(input);
  if (decided.next !== 'rule' && decided.next !== 'escalate') return { decided };
  const { drift } = decided;
  const why = decided.next === 'escalate' ? { why: decided.why } : {};
  const chosen = chooseRule({ target, drift, observation, desired: declared, rules: [], fixes, now, ...why });
  if (!chosen.ok) return { decided, chosen };
  const source = { kind: 'rule', rule: chosen.rule } as const;
  const made = makePlan({
    target,
    drift,
    operations: chosen.operations,
    source,
    evidenceDigest: '',
    desired: declared,
    observation,
    digest,
  });
  if (!made.ok) throw new Error('no plan');
  const checked = checkPlan({ plan: made.plan, target, desired: declared, observation, now, fixes });
  return { decided, chosen, plan: made.plan, checked };
};
const ill = (code: string, message = '', more: Partial<ObservedObject> = {}) =>
  objectOf({ health: 'degraded', symptoms: [{ code, message, count: 1 }], ...more });
const withContainer = (container: object) => ({
  spec: { ...declaredWeb.spec, template: { spec: { containers: [{ ...declaredWeb.spec.template.spec.containers[0], ...container }] } } },
});
const declareAll = (...objects: [ref: typeof web, state: object][]): Desired => ({
  status: 'read',
  digest: 'd',
  objects: objects.map(([ref, state]) => ({ ref, state: state as never, wave: 0 })),
});
const secretRef = (name: string) => ({ apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name });

test('each rule says what it mends, how it is verified and how it is undone, under a name of its own', () => {
  expect(new Set(ruleCatalogue.map(({ name }) => name)).size).toBe(ruleCatalogue.length);
  for (const { description, verified, undone, cap } of ruleCatalogue) {
    expect([description, verified, undone].every((text) => text.length > 8)).toBe(true);
    expect(cap.times).toBeLessThanOrEqual(5);
  }
  const benched = ['K01', 'K02', 'K04', 'K05', 'K06', 'K08', 'K11', 'K12', 'K14', 'K15'];
  const platform = ['G01', 'G03', 'G04', 'G05', 'G06', 'G07', 'G08', 'G11', 'A01', 'A02', 'A03', 'A12'];
  const mended = new Set(ruleCatalogue.flatMap(({ mends }) => mends));
  expect([...benched, ...platform].filter((fault) => !mended.has(fault))).toEqual([]);
});

describe('clusters', () => {
  test('K01: what is missing is applied again, and taken away again where that made it worse', () => {
    const { chosen, plan, checked } = mend({ observation: seen() });
    expect(chosen).toMatchObject({ rule: 'reapply-declared', operations: [{ op: 'reapply' }] });
    expect(checked).toMatchObject({ ok: true, blast: { isReversible: true } });
    const applied = { kind: 'applied', version: '1', hash: 'h', uid: 'u7', at: '' } as const;
    expect(undoPlan(plan ?? { steps: [] }, [applied], seen())).toMatchObject([{ operation: { op: 'remove', uid: 'u7' } }]);
  });

  test.each([
    ['K02: an image of another tag', withContainer({ image: 'registry.example/shop/web:9' })],
    ['K11: more replicas than declared', { spec: { ...declaredWeb.spec, replicas: 3 } }],
  ])('%s is put back', (_fault, state) => {
    const { chosen, plan } = mend({ observation: seen(objectOf({ state })) });
    expect(chosen).toMatchObject({ rule: 'reapply-declared' });
    expect(plan?.steps[0]?.undo.kind).toBe('restore');
  });

  test('K08: a selector of nobody is put back', () => {
    const service = { apiVersion: 'v1', kind: 'Service', namespace: 'shop', name: 'web' };
    const declared = declareAll([service, { spec: { selector: { app: 'web' } } }]);
    const observation = seen(ill('NoEndpoints', '', { ref: service, state: { spec: { selector: { app: 'other' } } } }));
    expect(mend({ observation, declared }).chosen).toMatchObject({ rule: 'reapply-declared' });
  });

  test('K04: a pull secret that ran out is filled from its declared source, without a person; one that nobody declared is not', () => {
    const state = {
      spec: { ...declaredWeb.spec, template: { spec: { ...declaredWeb.spec.template.spec, imagePullSecrets: [{ name: 'pull' }] } } },
    };
    const observation = seen(
      ill('ImagePullBackOff', 'failed: 401 Unauthorized', { state }),
      objectOf({ ref: secretRef('pull'), state: {} }),
    );
    const { chosen, checked } = mend({ observation, declared: declareAll([web, state], [secretRef('pull'), {}]) });
    expect(chosen).toMatchObject({ rule: 'refresh-pull-secret', operations: [{ op: 'refreshSecret', object: { name: 'pull' } }] });
    expect(checked).toMatchObject({ ok: true, blast: { isReversible: true } });
    expect(mend({ observation, declared: declareAll([web, state]) }).chosen).toEqual({ ok: false, reason: 'no-rule' });
    const notFound = seen(ill('ImagePullBackOff', 'manifest unknown', { state }));
    expect(mend({ observation: notFound, declared: declareAll([web, state], [secretRef('pull'), {}]) }).chosen?.ok).not.toBe(true);
  });

  test.each([
    ['the one key of that name in another spelling', ['api-token', 'url'], { op: 'setSecretKey', key: 'api-token', variable: 'API_TOKEN' }],
    ['the owner asked, where none is meant', ['url'], { op: 'askOwner' }],
    ['the owner asked, where two may be meant', ['api-token', 'apiToken'], { op: 'askOwner' }],
  ])('K05: a key that a Secret has no more: %s', (_what, keys, operation) => {
    const state = withContainer({ env: [{ name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'upstream', key: 'token' } } }] });
    const secret = objectOf({
      ref: secretRef('upstream'),
      isOurs: false,
      state: { data: Object.fromEntries(keys.map((key) => [key, ''])) },
    });
    const around = {
      ...seen(ill('CreateContainerConfigError', "couldn't find key token", { state })),
      neighbours: [secret],
    } as Observation;
    const { chosen, checked } = mend({ observation: around, declared: declareAll([web, state]) });
    expect(chosen).toMatchObject({ rule: 'map-secret-key', operations: [operation] });
    expect(checked?.ok).toBe(true);
  });

  test('K06: a quarter more memory twice, then it is taken for a leak', () => {
    const { chosen, checked, plan } = mend({ observation: seen(ill('OOMKilled')) });
    expect(chosen).toMatchObject({ rule: 'raise-memory', operations: [{ memoryLimit: '125Mi', container: 'app' }] });
    expect(checked?.ok).toBe(true);
    const at = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
    const fixes = [500, 90].map(
      (minutes): PastFix => ({
        ...{
          id: `fix_${minutes}`,
          fingerprint: plan?.fingerprint ?? '',
          state: 'fixed',
          plan: plan ?? null,
          normalDigest: '',
          evidenceDigest: '',
        },
        ...{ beganAt: at(minutes), endedAt: at(minutes) },
      }),
    );
    expect(mend({ observation: seen(ill('OOMKilled')), fixes }).chosen).toEqual({ ok: false, reason: 'capped' });
  });

  test('K06: of several containers the one that was killed is given more, and none where that is not said', () => {
    const two = {
      spec: {
        ...declaredWeb.spec,
        template: {
          spec: {
            containers: [
              ...declaredWeb.spec.template.spec.containers,
              { name: 'side', image: 's', resources: { limits: { memory: '40Mi' } } },
            ],
          },
        },
      },
    };
    const of = (message: string) =>
      mend({ observation: seen(ill('OOMKilled', message, { state: two })), declared: declareAll([web, two]) }).chosen;
    expect(of('container side: used more memory than its limit')).toMatchObject({
      operations: [{ container: 'side', memoryLimit: '50Mi' }],
    });
    expect(of('used more memory')).toEqual({ ok: false, reason: 'no-rule' });
  });

  test('K11: a server over stdio that is declared with three replicas runs once, where it has no store', () => {
    const stdio = (more: object = {}) => ({
      metadata: { annotations: { 'quarterdeck.dev/transport': 'stdio', ...more } },
      spec: { ...declaredWeb.spec, replicas: 3 },
    });
    const { chosen, checked } = mend({ observation: seen(objectOf({ state: stdio() })), declared: declareAll([web, stdio()]) });
    expect(chosen).toMatchObject({ rule: 'cap-stdio-replicas', operations: [{ op: 'scale', replicas: 1 }] });
    expect(checked?.ok).toBe(true);
    const stored = stdio({ 'quarterdeck.dev/session-store': 'redis' });
    expect(mend({ observation: seen(objectOf({ state: stored })), declared: declareAll([web, stored]) }).decided.next).toBe('nothing');
  });

  test('K12: what is stuck on a finalizer gets its declared controller back; a finalizer of strangers is escalated', () => {
    const stuck = objectOf({
      health: 'degraded',
      deletingSince: '2026-11-30T11:50:00Z',
      state: { metadata: { finalizers: ['bench/clean'] } },
    });
    const operator = { ...web, name: 'operator' };
    const serving = { metadata: { annotations: { 'quarterdeck.dev/finalizer': 'bench/clean' } } };
    const declared = declareAll([web, {}], [operator, serving]);
    const { chosen, checked } = mend({ observation: seen(stuck, objectOf({ ref: operator, state: serving })), declared });
    expect(chosen).toMatchObject({ rule: 'revive-controller', operations: [{ op: 'reviveController', finalizer: 'bench/clean' }] });
    expect(checked?.ok).toBe(true);
    expect(mend({ observation: seen(stuck), declared: declareAll([web, {}]) }).chosen).toEqual({ ok: false, reason: 'no-rule' });
  });

  test('K14: no node and no quota are waited for, three times, then people are asked', () => {
    const { chosen, plan, checked } = mend({ observation: seen(ill('Unschedulable')) });
    expect(chosen).toMatchObject({ rule: 'wait-for-capacity', operations: [{ op: 'wait' }] });
    expect(checked).toMatchObject({ ok: true, blast: { objects: 0, score: 0 } });
    const at = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
    const fixes = [30, 20, 10].map(
      (minutes): PastFix => ({
        ...{
          id: `fix_${minutes}`,
          fingerprint: plan?.fingerprint ?? '',
          state: 'left-alone',
          plan: plan ?? null,
          normalDigest: '',
          evidenceDigest: '',
        },
        ...{ beganAt: at(minutes), endedAt: at(minutes) },
      }),
    );
    expect(mend({ observation: seen(ill('Unschedulable')), fixes }).chosen).toEqual({ ok: false, reason: 'capped' });
  });

  test('K15: a field that is written anew at once is proposed to be ignored; a guard is not', () => {
    const rewritten = (path: 'maxSurge' | 'image') => {
      const state =
        path === 'image' ? withContainer({ image: 'evil.example/x:1' }) : { spec: { ...declaredWeb.spec, strategy: { maxSurge: 9 } } };
      const declared = declareAll([web, path === 'image' ? declaredWeb : { spec: { ...declaredWeb.spec, strategy: { maxSurge: 5 } } }]);
      const observation = seen(objectOf({ state }));
      const first = mend({ observation, declared });
      const at = new Date(now - 60_000).toISOString();
      const ended = { id: 'fix_1', state: 'ineffective', plan: first.plan ?? null, normalDigest: '', evidenceDigest: '' } as const;
      const fixes: PastFix[] = [{ ...ended, fingerprint: first.plan?.fingerprint ?? '', beganAt: at, endedAt: at }];
      return mend({ observation, declared, fixes });
    };
    const { decided, chosen, checked, plan } = rewritten('maxSurge');
    expect(decided).toMatchObject({ next: 'escalate', why: 'ineffective' });
    expect(chosen).toMatchObject({
      rule: 'ignore-rewritten-field',
      operations: [{ op: 'addIgnoreRule', path: '/spec/strategy/maxSurge' }],
    });
    expect(checked?.ok).toBe(true);
    expect(plan?.steps[0]?.undo.kind).toBe('forget');
    expect(rewritten('image').chosen).toEqual({ ok: false, reason: 'no-rule' });
  });

  test('K16: what an autoscaler owns is left alone', () => {
    const owners = [{ manager: 'kube-controller-manager', subresource: 'scale', paths: ['/spec/replicas'] }];
    const state = { spec: { ...declaredWeb.spec, replicas: 6 } };
    expect(mend({ observation: seen(objectOf({ state, owners })) }).decided).toMatchObject({ next: 'nothing' });
  });
});

describe('the platform', () => {
  const ref = (kind: string, name = 'x', namespace = '') => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, namespace, name });
  const target = { ...targetOf(), spec: ReconcileTargetSpecSchema.parse({ type: 'platform' }) };
  const others = Array.from({ length: 4 }, (_, index) => objectOf({ ref: ref('McpServer', `other-${index}`), state: {} }));
  const look = (object: ReturnType<typeof ref>, code: string, state: object = {}) => {
    const observation = seen(ill(code, '', { ref: object, state: state as never, isOurs: false }), ...others);
    const declared = declareAll([object, {}], ...others.map((other): [typeof web, object] => [other.ref, {}]));
    return mend({ observation, declared, target });
  };

  test.each([
    ['G01', 'RouteBroken', ref('McpServer'), 'rebuildRoute'],
    ['G03', 'DefinitionChanged', ref('Tool', 'search', 'files'), 'quarantineTool'],
    ['G04', 'ToolListStale', ref('McpServer'), 'refreshTools'],
    ['G05', 'NameCollision', ref('Toolset'), 'prefixNames'],
    ['G06', 'PolicyMismatch', ref('PolicyBundle'), 'reloadPolicies'],
    ['G08', 'KeysUnknown', ref('SigningKeys'), 'refetchKeys'],
    ['G11', 'CredentialExpired', ref('McpServer'), 'rotateCredential'],
    ['A01', 'AgentMissing', ref('Agent', 'a/7', 'run_1'), 'startAgent'],
    ['A02', 'AgentOrphaned', ref('Agent', 'a/7', 'run_1'), 'drainAgent'],
    ['A03', 'NoPollers', ref('Worker', 'model'), 'restoreWorkers'],
    ['A12', 'OddEgress', ref('Agent', 'a/7', 'run_1'), 'suspendAgent'],
  ])('%s: %s is mended by one operation that passes the checks and can be applied without a person', (_fault, code, object, op) => {
    const { chosen, checked } = look(object, code);
    expect(chosen).toMatchObject({ operations: [{ op, object }] });
    expect(checked).toMatchObject({ ok: true, blast: { isReversible: true, score: 1 } });
  });

  test('G07: policies that cannot be read go back to the last good revision, and nowhere where there is none', () => {
    expect(look(ref('PolicyBundle'), 'PolicyInvalid', { lastGood: 'r7' })).toMatchObject({
      chosen: { rule: 'restore-policies', operations: [{ op: 'restorePolicies', revision: 'r7' }] },
      checked: { ok: true },
    });
    expect(look(ref('PolicyBundle'), 'PolicyInvalid', { lastGood: '' }).chosen).toEqual({ ok: false, reason: 'no-rule' });
  });
});

test('G12: what people held is left alone, and when the hold ends they are asked before anything is taken back', () => {
  const observation = seen(objectOf({ state: { spec: { ...declaredWeb.spec, replicas: 5 } } }));
  const decide = (untilMs: number, fixes: PastFix[] = []) => {
    const holds = [{ object: 'apps/Deployment/shop/web', path: '/spec/replicas', untilAt: new Date(untilMs).toISOString() }];
    const { drifts, conflicts } = diffTarget({ target: targetOf(), desired, observation, holds, now });
    return whatNow({ target: targetOf(), drifts, conflicts, fixes, holds, desired, observation, frozen: false, pause: null, now });
  };
  expect(decide(now + 60_000)).toMatchObject({ next: 'wait', why: 'held', untilMs: now + 60_000 });
  const ended = decide(now - 60_000);
  expect(ended).toMatchObject({ next: 'escalate', why: 'was-held' });
  const at = new Date(now - 30_000).toISOString();
  const fingerprint = 'drift' in ended ? (ended.drift?.fingerprint ?? '') : '';
  const asked: PastFix = {
    id: 'fix_1',
    fingerprint,
    state: 'asked',
    plan: null,
    normalDigest: '',
    evidenceDigest: '',
    beganAt: at,
    endedAt: at,
  };
  expect(decide(now - 60_000, [asked])).toMatchObject({ next: 'wait', why: 'answered' });
});

test('what was without effect is not done again while the object is as it was (R22)', () => {
  const observation = seen(ill('OOMKilled'));
  const { plan } = mend({ observation });
  if (!plan) throw new Error('no plan');
  const at = new Date(now - 5 * 3_600_000).toISOString();
  const vain: PastFix = {
    id: 'f',
    fingerprint: plan.fingerprint,
    state: 'rolled-back',
    plan,
    normalDigest: '',
    evidenceDigest: 'e1',
    beganAt: at,
    endedAt: at,
  };
  const people: PastFix = {
    ...vain,
    id: 'g',
    state: 'asked',
    plan: planOf({ op: 'nothing', object: web }),
    endedAt: new Date(now - 4 * 3_600_000).toISOString(),
    beganAt: new Date(now - 4.5 * 3_600_000).toISOString(),
  };
  expect(mend({ observation, fixes: [vain, people] }).chosen).toEqual({ ok: false, reason: 'no-rule' });
  const check = (more: Partial<typeof plan>, seenNow = observation) =>
    checkPlan({
      plan: { ...plan, source: { kind: 'model', role: 'r', model: 'm', confidence: 1, diagnosis: 'd' }, ...more },
      target: targetOf(),
      desired,
      observation: seenNow,
      fixes: [vain],
      now,
    });
  expect(check({ evidenceDigest: 'e2' })).toMatchObject({ ok: false, faults: [{ code: 'tried_in_vain' }] });
  // the object has changed since, and so has what is known of it
  const changed = seen(ill('OOMKilled', '', { hash: 'h2' }));
  const step = { ...plan.steps[0], precondition: { kind: 'version', version: '2', hash: 'h2', uid: 'u1' } } as (typeof plan.steps)[0];
  expect(check({ evidenceDigest: 'e2', steps: [step] }, changed).ok).toBe(true);
  expect(check({ evidenceDigest: 'e1', steps: [step] }, changed)).toMatchObject({ faults: [{ code: 'tried_in_vain' }] });
});
