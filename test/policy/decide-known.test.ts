import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProjectPolicies } from '../../policy/assemble-policies.ts';
import { agentEntities, personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import type { KnownRequest } from '../../policy/known.ts';
import { toolEntities } from '../../policy/toolset-entities.ts';
import { askCedar } from '../support/ask-cedar.ts';

const tenancy = { org: 'default', project: 'default' };
const surroundings = (frozen = false) => ({
  uid: entityUid('Project', 'default/default'),
  entities: projectEntities({ ...tenancy, environment: 'development', frozen }),
});
const agent = ({ role = 'reader', quarantined = false, assignedPaths = ['/input/a'] } = {}) => ({
  uid: entityUid('Agent', 'agent-1'),
  entities: agentEntities({ ...tenancy, agentId: 'agent-1', fleet: 'survey', role, owner: 'ada', quarantined, assignedPaths }),
});
const person = ({ groups = ['engineers'] as string[], disabled = false } = {}) => ({
  uid: entityUid('User', 'default/ada'),
  entities: personEntities({ org: 'default', id: 'ada', groups, roles: [], disabled }),
});
const tool = ({ toolset = 'read', isolation = 1, readOnly = true, currentHash = 'h' } = {}) => ({
  uid: entityUid('Tool', 'default/default/files/read_file'),
  entities: toolEntities({
    ...tenancy,
    server: 'files',
    tool: 'read_file',
    toolset,
    isolation,
    readOnly,
    destructive: false,
    idempotent: true,
    openWorld: false,
    approvedHash: 'h',
    currentHash,
  }),
});
const argumentsOf = (more: object = {}) => ({
  paths: ['/input/a'],
  roots: ['input'],
  urls: [],
  hosts: [],
  canonical: true,
  bytes: 10,
  ...more,
});
const request = (more: Partial<KnownRequest> = {}, facts: object = {}): KnownRequest => ({
  principal: agent(),
  action: 'callTool',
  resource: tool(),
  surroundings: surroundings(),
  context: { who: { hasHuman: true, run: 'run_1' }, arguments: argumentsOf(facts) },
  ...more,
});
const call = (action: string) => `action == Quarterdeck::Action::"${action}"`;
const policiesOf = (...texts: string[]): ProjectPolicies => ({
  policySets: [{ name: 'p', cedar: ['permit (principal, action, resource);', ...texts].join('\n') }],
  bindings: [],
});
const engineWith = (policies: ProjectPolicies) => {
  const engine = createPolicyEngine();
  expect(engine.load(tenancy, policies)).toEqual({ ok: true });
  return engine;
};

const cedarAlone = (policies: ProjectPolicies, asked: KnownRequest) => {
  const answer = askCedar(tenancy, policies, asked);
  if (answer.type === 'failure') return { effect: 'deny', isError: true, policies: [] };
  const { decision, diagnostics } = answer.response;
  const isError = diagnostics.errors.length > 0;
  return isError
    ? { effect: 'deny', isError, policies: diagnostics.errors.map(({ policyId }) => policyId).sort() }
    : { effect: decision, isError, policies: [...diagnostics.reason].sort() };
};

/** Conditions that look in all the ways that there are: at attributes, through entities, into sets and hierarchies, at what is there at all. */
const conditions = [
  'context.arguments.roots.contains("input")',
  'principal.assignedPaths.containsAll(context.arguments.paths)',
  'context.arguments.bytes * 9223372036854775807 > 0',
  'context.who == {hasHuman: true, run: "run_1"}',
  'context has arguments && context.arguments has urls && context.arguments.urls.isEmpty()',
  'context == context',
  'context.who.run like "run_*"',
  'if context.arguments.canonical then context.arguments.bytes < 100 else resource.hints.readOnly',
  'resource.server.isolation > 1',
  'resource.server in Quarterdeck::Project::"default/default"',
  'resource.project.frozen',
  'resource in Quarterdeck::Org::"default"',
  'resource in [Quarterdeck::Toolset::"default/default/read", Quarterdeck::Toolset::"default/default/other"]',
  'principal.owner == Quarterdeck::User::"default/ada"',
  'principal.fleet.project.environment == "development"',
  'principal.fleet in Quarterdeck::Org::"default"',
  '(if context.arguments.canonical then principal.fleet else principal.fleet).paused',
  '{where: resource.server}.where.isolation > 1',
  'context.arguments.hosts.containsAny(["example.com"])',
];
const scopes = [
  'principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource',
  'principal is Quarterdeck::Agent in Quarterdeck::AgentRole::"default/default/reader", action == Quarterdeck::Action::"callTool", resource in Quarterdeck::Toolset::"default/default/read"',
  'principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource == Quarterdeck::Tool::"default/default/files/read_file"',
];
const policyArbitrary = fc
  .tuple(fc.constantFrom('permit', 'forbid'), fc.constantFrom(...scopes), fc.constantFrom('when', 'unless'), fc.constantFrom(...conditions))
  .map(([effect, scope, kind, condition]) => `${effect} (${scope}) ${kind} { ${condition} };`);
const requestArbitrary = fc
  .record({
    role: fc.constantFrom('reader', 'clerk'),
    quarantined: fc.boolean(),
    assignedPaths: fc.subarray(['/input/a', '/input/b']),
    toolset: fc.constantFrom('read', 'write'),
    isolation: fc.integer({ min: 0, max: 2 }),
    readOnly: fc.boolean(),
    frozen: fc.boolean(),
    run: fc.constantFrom('run_1', 'other'),
    facts: fc.record({
      paths: fc.subarray(['/input/a', '/input/b']),
      roots: fc.subarray(['input', 'output']),
      hosts: fc.subarray(['example.com', 'a.test']),
      canonical: fc.boolean(),
      bytes: fc.constantFrom(1, 10, 1000),
    }),
  })
  .map(({ role, quarantined, assignedPaths, toolset, isolation, readOnly, frozen, run, facts }) =>
    request({
      principal: agent({ role, quarantined, assignedPaths }),
      resource: tool({ toolset, isolation, readOnly }),
      surroundings: surroundings(frozen),
      context: { who: { hasHuman: true, run }, arguments: argumentsOf(facts) },
    }),
  );

describe('a remembered decision', () => {
  test('is what Cedar alone says, for whatever policies and requests, the first time and later', () => {
    fc.assert(
      fc.property(
        fc.array(policyArbitrary, { maxLength: 5 }),
        fc.array(requestArbitrary, { minLength: 2, maxLength: 6 }),
        (texts, asked) => {
          const policies = policiesOf(...texts);
          const engine = engineWith(policies);
          for (const one of [...asked, ...asked]) {
            const { effect, policies: named, error } = engine.decideKnown(tenancy, one);
            const decided = { effect, isError: error !== undefined, policies: named.toSorted() };
            expect(decided).toEqual(cedarAlone(policies, one));
          }
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);

  test('is made once for all arguments where no applying policy looks at them', () => {
    const engine = engineWith(policiesOf(`forbid (principal, ${call('callTool')}, resource) when { resource.server.isolation > 5 };`));
    const first = engine.decideKnown(tenancy, request());
    expect(engine.decideKnown(tenancy, request({}, { paths: ['/elsewhere'], bytes: 999 }))).toBe(first);
    expect(first).toMatchObject({ effect: 'allow', policies: ['policyset/p/1'] });
  });

  test('is made anew for other values of what a policy reads, and for no others', () => {
    const engine = engineWith(
      policiesOf(`forbid (principal, ${call('callTool')}, resource) when { context.arguments.roots.contains("secret") };`),
    );
    const first = engine.decideKnown(tenancy, request({}, { roots: ['input'] }));
    expect(engine.decideKnown(tenancy, request({}, { roots: ['input'], bytes: 77 }))).toBe(first);
    expect(engine.decideKnown(tenancy, request({}, { roots: ['secret'] }))).toMatchObject({ effect: 'deny', policies: ['policyset/p/2'] });
  });

  test('does not look at arguments for a policy whose scope does not fit', () => {
    const policy = `forbid (principal, ${call('callTool')}, resource in Quarterdeck::Toolset::"default/default/other")
      when { context.arguments.roots.contains("input") };`;
    const engine = engineWith(policiesOf(policy));
    const first = engine.decideKnown(tenancy, request());
    expect(engine.decideKnown(tenancy, request({}, { roots: ['output'] }))).toBe(first);
    expect(engine.decideKnown(tenancy, request({ resource: tool({ toolset: 'other' }) })).effect).toBe('deny');
  });

  test('is not shared by callers, tools, projects or moments that policies can tell apart', () => {
    const engine = engineWith(policiesOf());
    expect(engine.decideKnown(tenancy, request()).effect).toBe('allow');
    expect(engine.decideKnown(tenancy, request({ principal: agent({ quarantined: true }) })).effect).toBe('deny');
    expect(engine.decideKnown(tenancy, request({ principal: person({ disabled: true }) })).effect).toBe('deny');
    expect(engine.decideKnown(tenancy, request({ resource: tool({ currentHash: 'other' }) })).effect).toBe('deny');
    expect(engine.decideKnown(tenancy, request({ surroundings: surroundings(true) })).effect).toBe('deny');
    expect(engine.decideKnown(tenancy, request({ principal: person() })).effect).toBe('allow');
  });

  test('ends with the policies it was made by', () => {
    const engine = engineWith(policiesOf());
    expect(engine.decideKnown(tenancy, request()).effect).toBe('allow');
    engine.load(tenancy, { policySets: [], bindings: [] });
    expect(engine.decideKnown(tenancy, request()).effect).toBe('deny');
    engine.load(tenancy, policiesOf());
    expect(engine.decideKnown(tenancy, request()).effect).toBe('allow');
  });

  test('is not kept where the decision could not be made', () => {
    const engine = engineWith(
      policiesOf(`forbid (principal, ${call('callTool')}, resource) when { context.arguments.bytes * 9223372036854775807 > 0 };`),
    );
    const first = engine.decideKnown(tenancy, request());
    expect(first).toMatchObject({ effect: 'deny', error: expect.stringContaining('overflow') });
    expect(engine.decideKnown(tenancy, request())).not.toBe(first);
  });

  test('is not kept where a policy may look anywhere', () => {
    const engine = engineWith(policiesOf(`forbid (principal, ${call('callTool')}, resource) unless { context == context };`));
    const first = engine.decideKnown(tenancy, request());
    expect(engine.decideKnown(tenancy, request())).not.toBe(first);
    expect(engine.decideKnown(tenancy, request())).toEqual(first);
  });

  test('cannot be changed by one of those who share it', () => {
    const decision = engineWith(policiesOf()).decideKnown(tenancy, request());
    expect(() => decision.policies.push('another')).toThrow();
  });
});
