import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { approvalEntity } from '../../policy/approval-entities.ts';
import { fitsRule, readApprovalRule } from '../../policy/approval-rules.ts';
import { checkProjectPolicies, type ProjectPolicies } from '../../policy/assemble-policies.ts';
import { agentEntities, personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import { toolEntities } from '../../policy/toolset-entities.ts';

import { askCedar } from '../support/ask-cedar.ts';

const tenancy = { org: 'default', project: 'default' };
const agent = {
  uid: entityUid('Agent', 'agent-1'),
  entities: agentEntities({
    ...tenancy,
    agentId: 'agent-1',
    fleet: 'f',
    role: 'clerk',
    owner: 'ada',
    quarantined: false,
    assignedPaths: [],
  }),
};
const tool = (currentHash = 'h') => ({
  uid: entityUid('Tool', 'default/default/files/write'),
  entities: toolEntities({
    ...{ ...tenancy, server: 'files', tool: 'write', toolset: 'write', isolation: 1, approvedHash: 'h', currentHash },
    ...{ readOnly: false, destructive: true, idempotent: false, openWorld: false },
  }),
});
const surroundings = {
  uid: entityUid('Project', 'default/default'),
  entities: projectEntities({ ...tenancy, environment: 'development', frozen: false }),
};
const context = (more: object = {}) => ({
  who: { hasHuman: true, run: 'run_1' },
  arguments: { paths: ['/out/a'], roots: [], urls: [], hosts: [], canonical: true, bytes: 10 },
  ...more,
});
const bindings: ProjectPolicies['bindings'] = [
  { name: 'clerks', spec: { subjects: [{ agentRole: 'clerk' }], toolsets: ['write'], models: [], agentRoles: [], fleets: [] } },
];
const scope = 'principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource';
const asks = (annotations = '@approve("role:reviewer")', when = '') =>
  `@id("ask") ${annotations} forbid (${scope}) ${when} unless { context.approvedCall };`;

const engineWith = (cedar: string, granted = bindings) => {
  const engine = createPolicyEngine();
  expect(engine.load(tenancy, { policySets: [{ name: 'p', cedar }], bindings: granted })).toEqual({ ok: true });
  return engine;
};
const decide = (engine: ReturnType<typeof createPolicyEngine>, more: object = {}, hash = 'h', forAnyArguments = false) =>
  engine.decideKnown(tenancy, {
    principal: agent,
    action: 'callTool',
    resource: tool(hash),
    surroundings,
    context: context(more),
    forAnyArguments,
  });

describe('the third outcome', () => {
  test('a call that only an approval keeps back needs a person, with who, how many, until when and why', () => {
    const cedar = asks('@approve("role:reviewer, group:ops") @approvals("2") @expires("3d") @reason("It writes.")');
    expect(decide(engineWith(cedar))).toEqual({
      bundle: expect.anything(),
      effect: 'needsPerson',
      policies: ['policyset/p/ask'],
      advice: [],
      need: {
        rules: [{ policy: 'policyset/p/ask', approvers: ['role:reviewer', 'group:ops'], count: 2 }],
        expiresInSeconds: 3 * 86_400,
        reason: 'It writes.',
      },
    });
  });

  test('one person within 15 minutes is enough where the policy says no more', () => {
    expect(decide(engineWith(asks())).need).toMatchObject({ rules: [{ count: 1 }], expiresInSeconds: 900 });
  });

  test('a policy can ask for a login by two things, and for no level that there is not', () => {
    expect(decide(engineWith(asks('@approve("role:reviewer") @acr("2")'))).need).toMatchObject({
      rules: [{ approvers: ['role:reviewer'], acr: 2 }],
    });
    for (const level of ['0', '10', 'two'])
      expect(
        readApprovalRule('p', {
          effect: 'forbid',
          annotations: { approve: 'role:a', acr: level },
          conditions: ['"approvedCall"'],
        } as never),
      ).toEqual({
        problem: expect.stringContaining('`@acr` takes a level of login from 1 to 9'),
      });
    expect(readApprovalRule('p', { effect: 'forbid', annotations: { acr: '2' }, conditions: [] } as never)).toEqual({
      problem: '`@acr` says more about `@approve`, which is missing',
    });
  });

  test('deny wins: by another forbid, by a guard of the platform, and where nothing permits the call', () => {
    const forbidden = engineWith(`${asks()} @id("never") forbid (${scope});`);
    expect(decide(forbidden)).toMatchObject({ effect: 'deny', policies: expect.arrayContaining(['policyset/p/never']) });
    const engine = engineWith(asks());
    expect(decide(engine, {}, 'other')).toMatchObject({
      effect: 'deny',
      policies: expect.arrayContaining(['platform/pinned-definition']),
    });
    expect(decide(engineWith(asks(), []))).toMatchObject({ effect: 'deny', policies: [] });
  });

  test('an approved call is allowed, and a forbid that comes later refuses it all the same', () => {
    expect(decide(engineWith(asks()), { approvedCall: true })).toMatchObject({ effect: 'allow' });
    const stricter = engineWith(`${asks()} forbid (${scope}) when { context.arguments.paths.contains("/out/a") };`);
    expect(decide(stricter, { approvedCall: true }).effect).toBe('deny');
  });

  test('a permit can depend on an approval', () => {
    const permit = `@id("ask") @approve("group:ops") permit (${scope}) when { context.approvedCall };`;
    expect(decide(engineWith(permit, []))).toMatchObject({ effect: 'needsPerson', need: { rules: [{ approvers: ['group:ops'] }] } });
    expect(decide(engineWith(permit, []), { approvedCall: true }).effect).toBe('allow');
    expect(decide(engineWith(permit)), 'another permit asks nobody').toMatchObject({ effect: 'allow' });
  });

  test('of several policies each is to be met, within the shortest time', () => {
    const second = `@id("more") @approve("group:security") @expires("5m") @reason("It leaves the house.") forbid (${scope}) unless { context.approvedCall };`;
    expect(decide(engineWith(`${asks('@approve("role:reviewer") @reason("It writes.")')} ${second}`)).need).toEqual({
      rules: [
        { policy: 'policyset/p/ask', approvers: ['role:reviewer'], count: 1 },
        { policy: 'policyset/p/more', approvers: ['group:security'], count: 1 },
      ],
      expiresInSeconds: 300,
      reason: 'It writes. It leaves the house.',
    });
  });

  test('a policy may look at who approved', () => {
    const engine = engineWith(`${asks()} forbid (${scope}) when { context.approvers.contains(principal.owner) };`);
    const by = (id: string) => ({ approvedCall: true, approvers: [{ __entity: entityUid('User', `default/${id}`) }] });
    expect(decide(engine).effect).toBe('needsPerson');
    expect(decide(engine, by('ada')).effect).toBe('deny');
    expect(decide(engine, by('bob')).effect).toBe('allow');
  });

  test('what is remembered of one outcome never answers for another', () => {
    const engine = engineWith(asks('@approve("role:reviewer")', 'when { context.arguments.bytes > 5 }'));
    const outcomes = () => [
      decide(engine).effect,
      decide(engine, { approvedCall: true }).effect,
      decide(engine, { arguments: { ...context().arguments, bytes: 1 } }).effect,
    ];
    expect(outcomes()).toEqual(['needsPerson', 'allow', 'allow']);
    expect(outcomes()).toEqual(['needsPerson', 'allow', 'allow']);
    expect(decide(engine)).toBe(decide(engine));
  });

  test('lists show what an approval can open, and nothing that a forbid takes away', () => {
    expect(decide(engineWith(asks()), {}, 'h', true).effect).toBe('allow');
    expect(decide(engineWith(`${asks()} forbid (${scope});`), {}, 'h', true).effect).toBe('deny');
  });
});

test.each([
  ['@approve("reviewer")', 'context.approvedCall', '`@approve` takes role:NAME, group:NAME or person:NAME'],
  ['@approve("")', 'context.approvedCall', '`@approve` takes role:NAME'],
  ['@approve("role:reviewer") @approvals("0")', 'context.approvedCall', '`@approvals` takes a number of people from 1 to 10'],
  ['@approve("role:reviewer") @approvals("many")', 'context.approvedCall', '`@approvals` takes a number'],
  ['@approve("role:reviewer") @expires("soon")', 'context.approvedCall', '`@expires` takes a time from 1m to 30d'],
  ['@approve("role:reviewer") @expires("31d")', 'context.approvedCall', '`@expires` takes a time from 1m to 30d'],
  ['@approve("role:reviewer")', 'context.arguments.canonical', 'it has to look at `context.approvedCall`'],
  ['@approvals("2")', 'context.arguments.canonical', '`@approvals` says more about `@approve`, which is missing'],
  ['', 'context.approvedCall', 'say who may approve'],
])('refuses a policy with %s that looks at %s, and says why', (annotations, condition, message) => {
  const cedar = `// who asks\n@id("ask") ${annotations} forbid (${scope}) unless { ${condition} };`;
  expect(checkProjectPolicies(tenancy, { policySets: [{ name: 'p', cedar }], bindings: [] })).toEqual({
    ok: false,
    issues: [{ name: 'p', message: expect.stringContaining(message), line: 2, column: 1 }],
  });
});

describe('who may approve', () => {
  const may = (person: { id: string; groups?: string[]; roles?: string[] }, action: 'approve' | 'seeApproval', mayApproveOwn = false) => {
    const facts = { org: 'default', groups: [], roles: [], disabled: false, ...person };
    const engine = createPolicyEngine();
    engine.load(tenancy, { policySets: [], bindings: [] });
    return engine.decide(tenancy, {
      principal: entityUid('User', `default/${person.id}`),
      action,
      resource: entityUid('Approval', 'default/default/apr_1'),
      context:
        action === 'approve'
          ? { who: { hasHuman: true, run: '', authAge: 300, acr: 1 }, verdict: 'approve', mayApproveOwn }
          : { who: { hasHuman: true, run: '' } },
      entities: [
        ...surroundings.entities,
        ...personEntities(facts),
        approvalEntity({ ...tenancy, id: 'apr_1', owner: 'ada', approvers: ['role:reviewer', 'group:ops', 'person:eve'] }),
      ],
    });
  };

  test.each([
    ['of a named role', { id: 'bob', roles: ['reviewer'] }],
    ['of a named group', { id: 'bob', groups: ['ops'] }],
    ['named by name', { id: 'eve' }],
  ])('a person %s', (_who, person) => {
    expect(may(person, 'approve').effect).toBe('allow');
    expect(may(person, 'seeApproval').effect).toBe('allow');
  });

  test('nobody else, not even an administrator', () => {
    expect(may({ id: 'root', roles: ['administrator'] }, 'approve')).toMatchObject({
      effect: 'deny',
      policies: ['platform/named-approvers'],
    });
    expect(may({ id: 'bob', groups: ['sales'] }, 'seeApproval').effect).toBe('deny');
  });

  test('never the owner, who may look; only where there is one person for everything', () => {
    const owner = { id: 'ada', roles: ['reviewer', 'administrator'] };
    expect(may(owner, 'approve')).toMatchObject({ effect: 'deny', policies: ['platform/approver-is-not-owner'] });
    expect(may({ id: 'ada' }, 'seeApproval').effect).toBe('allow');
    expect(may({ id: 'ada', roles: ['administrator'] }, 'approve', true).effect).toBe('allow');
  });

  test('an agent cannot even ask to', () => {
    const engine = createPolicyEngine();
    engine.load(tenancy, { policySets: [], bindings: [] });
    const decision = engine.decide(tenancy, {
      principal: agent.uid,
      action: 'approve',
      resource: entityUid('Approval', 'default/default/apr_1'),
      context: { who: { hasHuman: true, run: '', authAge: 0, acr: 1 }, verdict: 'approve', mayApproveOwn: true },
      entities: [...surroundings.entities, ...agent.entities, approvalEntity({ ...tenancy, id: 'apr_1', owner: 'ada', approvers: [] })],
    });
    expect(decision).toMatchObject({ effect: 'deny', error: expect.any(String) });
  });

  test('a rule counts those it names', () => {
    const rule = { approvers: ['role:reviewer', 'group:ops', 'person:eve'] };
    const person = (id: string, groups: string[] = [], roles: string[] = []) => fitsRule(rule, { id, groups, roles });
    expect([person('eve'), person('bob', ['ops']), person('bob', [], ['reviewer']), person('bob', ['reviewer'], ['ops'])]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe('whatever the policies are', () => {
  const condition = fc.constantFrom(
    'when { context.arguments.bytes > 5 }',
    'when { context.arguments.paths.contains("/out/a") }',
    'when { principal.owner == Quarterdeck::User::"default/ada" }',
    '',
  );
  const policy = fc.record({ effect: fc.constantFrom('forbid', 'permit'), asks: fc.boolean(), condition });
  const textOf = ({ effect, asks: isAsking, condition }: { effect: string; asks: boolean; condition: string }) =>
    `${isAsking ? '@approve("role:reviewer")' : ''} ${effect} (${scope}) ${condition} ${
      isAsking ? `${effect === 'forbid' ? 'unless' : 'when'} { context.approvedCall }` : ''
    };`;

  test('the outcome is what Cedar alone says of the call, and of the same call approved', () => {
    fc.assert(
      fc.property(fc.array(policy, { maxLength: 5 }), fc.boolean(), fc.integer({ min: 1, max: 10 }), (texts, isGranted, bytes) => {
        const project: ProjectPolicies = {
          policySets: [{ name: 'p', cedar: texts.map(textOf).join('\n') || '// none' }],
          bindings: isGranted ? bindings : [],
        };
        const cedar = (approvedCall: boolean) => {
          const request = { principal: agent, action: 'callTool', resource: tool(), surroundings };
          const given = context({ approvedCall, arguments: { ...context().arguments, bytes } });
          const answer = askCedar(tenancy, project, { ...request, context: given });
          if (answer.type === 'failure' || answer.response.diagnostics.errors.length > 0) throw new Error(JSON.stringify(answer));
          return { effect: answer.response.decision, policies: answer.response.diagnostics.reason };
        };
        const rules = new Set(texts.flatMap(({ asks: isAsking }, index) => (isAsking ? [`policyset/p/${index + 1}`] : [])));
        const [plain, approved] = [cedar(false), cedar(true)];
        const canBeLifted = plain.policies.every((id) => rules.has(id));
        const expected = plain.effect === 'deny' && canBeLifted && approved.effect === 'allow' ? 'needsPerson' : plain.effect;
        const engine = createPolicyEngine();
        expect(engine.load(tenancy, project)).toEqual({ ok: true });
        for (const _time of [1, 2]) expect(decide(engine, { arguments: { ...context().arguments, bytes } }).effect).toBe(expected);
      }),
      { numRuns: 25 },
    );
  });
});
