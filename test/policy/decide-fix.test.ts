import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { decideFix, type FixToDecide } from '../../policy/decide-fix.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { deployment, fixOf, objectOf } from '../support/fix-to-decide.ts';
import { type SaidWrongFix, saidWrongFixes } from '../support/wrong-fix-places.ts';

const engine = createPolicyEngine({ name: 'decide-fix' });
const restart = { op: 'restart' as const, object: deployment };
const sureModel = (confidence: number) => ({ kind: 'model' as const, role: 'diagnoser', model: 'm', confidence, diagnosis: 'd' });
const person = (id: string, roles = ['reviewer'], more: object = {}) => ({ id, groups: [], roles, disabled: false, ...more });
const approvedBy = (...people: ReturnType<typeof person>[]) => ({ approval: { planDigest: 'd'.repeat(64), people } });
const platform = { type: 'platform' };
const ofCluster = saidWrongFixes.filter(({ target }) => target === 'kubernetes');
const decide = (fix: FixToDecide) => decideFix(engine, fix);
/** Who is asked, as a number of people: 0 nobody, none where it is refused. */
const peopleFor = (fix: FixToDecide): number => {
  const decided = decide(fix);
  return decided.kind === 'apply' ? 0 : decided.kind === 'ask' ? Math.max(...decided.need.rules.map(({ count }) => count)) : Infinity;
};

beforeAll(() => {
  expect(engine.load({ org: 'default', project: 'default' }, { policySets: [], bindings: [] })).toEqual({ ok: true });
});

describe('every wrong fix that can be said', () => {
  const become = (fix: FixToDecide, { policy, operations }: SaidWrongFix) => {
    const decided = decide(fix);
    expect(decided.kind).toBe(policy);
    if (decided.kind === 'refuse') expect(decided.rule).toMatch(/^platform\/fix-/);
    // a wrong fix is no better for a person's or two people's approval, nor among others that are right
    if (policy !== 'refuse') return;
    expect(decide({ ...fix, ...approvedBy(person('bea'), person('cyd')) }).kind).toBe('refuse');
    expect(decide(fixOf([restart, ...operations], { target: fix.target.spec.type === 'platform' ? platform : {} })).kind).toBe('refuse');
  };
  test.each(saidWrongFixes)('$fault: $says is a case of $policy', (wrong) =>
    become(fixOf(wrong.operations, wrong.target === 'platform' ? { target: platform } : {}), wrong),
  );
  test('is refused of a person too, and of a rule where it is refused', () => {
    for (const { operations } of ofCluster.filter(({ policy }) => policy === 'refuse')) {
      expect(decide(fixOf(operations, { source: { kind: 'rule', rule: 'own' } })).kind).toBe('refuse');
      expect(decide(fixOf(operations, { source: { kind: 'person', person: 'bea' } })).kind).toBe('refuse');
    }
  });
});

describe('a fix', () => {
  test('that is small, sure, undoable and leads back to what is declared needs nobody', () => {
    expect(decide(fixOf([restart])).kind).toBe('apply');
  });

  test.each([
    ['of a critical target', { target: { critical: true } }],
    ['of more than one object', { score: 2 }],
    ['that the checker wants looked at', { mustAsk: true }],
    ['that is the sixth within an hour', { recentFixes: 5 }],
    ['of a model that is not sure', { source: sureModel(0.79) }],
  ])('%s asks one person whom the target names', (_what, more) => {
    const decided = decide(fixOf([restart], more));
    expect(decided.kind === 'ask' && decided.need.rules).toEqual([
      { policy: 'platform/fix-attended', approvers: ['role:administrator', 'role:reviewer'], count: 1 },
    ]);
    expect(decided.kind === 'ask' && decided.need.expiresInSeconds).toBe(3600);
  });

  test.each([
    ['a dry-run refused', { dryRunOk: false }, 'platform/fix-dry-run'],
    ['comes outside the windows', { inWindow: false }, 'platform/fix-window'],
    ['moved away from', { stateHashFresh: false }, 'platform/fix-as-planned'],
    ['cannot be undone', { isReversible: false }, 'platform/fix-irreversible'],
    ['is of a frozen project', { project: { environment: 'production', frozen: true } }, 'platform/frozen-project-fix'],
  ])('that %s is refused and asks nobody, approved or not', (_what, more, rule) => {
    for (const approval of [{}, approvedBy(person('bea'), person('cyd'))]) {
      const decided = decide(fixOf([restart], { ...more, ...approval }));
      expect(decided).toMatchObject({ kind: 'refuse', rule });
    }
  });

  test.each([
    ['drains an agent that nobody declares', { op: 'drainAgent', object: objectOf('Agent', 'a', 'run_1') }, platform],
    ['brings back a controller', { op: 'reviveController', object: deployment, finalizer: 'a.b/c' }, {}],
  ] as const)(
    'that %s needs nobody when a rule does it, whose symptom is checked, and a person when a model proposes it',
    (_what, operation, target) => {
      expect(decide(fixOf([operation], { target, source: { kind: 'rule', rule: 'own' } })).kind).toBe('apply');
      expect(decide(fixOf([operation], { target })).kind).toBe('ask');
    },
  );
  test('that a person wrote asks another, however small it is', () => {
    const decided = decide(fixOf([restart], { source: { kind: 'person', person: 'bea' } }));
    expect(decided).toMatchObject({ kind: 'ask', need: { rules: [{ policy: 'platform/fix-attended', count: 1 }] } });
  });
  test('asks for as strong a login as its target does', () => {
    const approval = { approvers: ['group:ops'], count: 1, expiresInSeconds: 3600, acr: 2 };
    const decided = decide(fixOf([{ op: 'scale', object: deployment, replicas: 3 }], { target: { approval } }));
    expect(decided).toMatchObject({ kind: 'ask', need: { rules: [{ approvers: ['group:ops'], acr: 2 }] } });
  });

  test('that cannot be undone asks two people where the target allows it at all', () => {
    expect(peopleFor(fixOf([restart], { isReversible: false, target: { allow: ['irreversible-ok'] } }))).toBe(2);
  });

  test('asks whom a PolicySet of the project names as well, within the shorter time', () => {
    const cedar = `@id("nights") @approve("group:on-call") @expires("10m")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) when { resource.kinds.contains("Deployment") } unless { context.approvedCall };`;
    const own = createPolicyEngine({ name: 'decide-fix-own' });
    expect(own.load({ org: 'default', project: 'default' }, { policySets: [{ name: 'own', cedar }], bindings: [] })).toEqual({ ok: true });
    const decided = decideFix(own, fixOf([restart], { score: 4 }));
    expect(decided.kind === 'ask' && decided.need).toMatchObject({
      rules: [
        { policy: 'platform/fix-four-eyes', count: 2 },
        { policy: 'policyset/own/nights', approvers: ['group:on-call'], count: 1 },
      ],
      expiresInSeconds: 600,
    });
  });
});

describe('the approval of a fix, looked at again before it is applied', () => {
  const wide = (more: object = {}) => fixOf([restart], { score: 4, ...more });

  test('counts two different people who may', () => {
    expect(decide(wide(approvedBy(person('bea'), person('cyd')))).kind).toBe('apply');
    expect(decide(wide(approvedBy(person('bea'), person('bea')))).kind).toBe('ask');
  });
  test.each([
    ['lost the role since', person('cyd', [])],
    ['was shut out since', person('cyd', ['reviewer'], { disabled: true })],
    ['owns the agent that proposed it', person('ada')],
  ])('does not count a person who %s', (_who, second) => {
    expect(decide(wide(approvedBy(person('bea'), second))).kind).not.toBe('apply');
  });
  test('counts nobody who wrote a part of what it is a fix of, however many others have approved', () => {
    const written = { submitters: ['ada', 'cyd'] };
    const own = approvedBy(person('bea'), person('cyd'));
    expect(decide(wide({ ...written, ...own }))).toMatchObject({ kind: 'refuse', rule: 'platform/fix-submitters' });
    expect(decide(wide({ ...written, ...approvedBy(person('bea'), person('dan')) })).kind).toBe('apply');
    const three = approvedBy(person('bea'), person('dan'), person('cyd'));
    expect(decide(wide({ ...written, ...three }))).toMatchObject({ kind: 'refuse', rule: 'platform/fix-submitters' });
    expect(decide(wide({ ...written, ...approvedBy(person('cyd')), mayApproveOwn: true })).kind).toBe('apply');
  });
  test('of other bytes is none', () => {
    const approval = { planDigest: 'e'.repeat(64), people: [person('bea'), person('cyd')] };
    expect(decide(wide({ approval }))).toMatchObject({ kind: 'refuse', rule: 'platform/fix-as-planned' });
  });
  test('of its own owner counts where there is one person alone', () => {
    expect(decide(wide({ ...approvedBy(person('ada')), mayApproveOwn: true })).kind).toBe('apply');
  });
});

test('confidence may raise what is asked of people, and never lowers it', () => {
  const all = [...ofCluster, { operations: [restart] }];
  fc.assert(
    fc.property(
      fc.constantFrom(...all),
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      fc.record({ score: fc.integer({ min: 0, max: 5 }), recentFixes: fc.integer({ min: 0, max: 6 }) }),
      ({ operations }, [one, other], more) => {
        const asked = [Math.min(one, other), Math.max(one, other)].map((confidence) =>
          peopleFor(fixOf(operations, { ...more, source: sureModel(confidence) })),
        );
        expect(asked[0]).toBeGreaterThanOrEqual(asked[1] ?? 0);
        // as sure as can be it is asked as much as a person's own fix, which is never without another person
        expect(Math.max(1, peopleFor(fixOf(operations, { ...more, source: sureModel(1) })))).toBe(
          peopleFor(fixOf(operations, { ...more, source: { kind: 'person', person: 'bea' } })),
        );
      },
    ),
    { numRuns: 150 },
  );
});
