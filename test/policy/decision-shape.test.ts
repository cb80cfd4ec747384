import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assemblePolicies, type ProjectPolicies } from '../../policy/assemble-policies.ts';
import { agentEntities, personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import type { KnownRequest } from '../../policy/known.ts';
import { toolEntities } from '../../policy/toolset-entities.ts';
import { askCedar } from '../support/ask-cedar.ts';

const tenancy = { org: 'default', project: 'default' };
const surroundings = {
  uid: entityUid('Project', 'default/default'),
  entities: projectEntities({ ...tenancy, environment: 'development', frozen: false }),
};
const agent = (agentId: string, { role = 'reader', owner = 'ada', quarantined = false } = {}) => ({
  uid: entityUid('Agent', agentId),
  entities: agentEntities({ ...tenancy, agentId, fleet: 'survey', role, owner, quarantined, assignedPaths: [] }),
});
const person = (id: string, groups: string[] = [], disabled = false) => ({
  uid: entityUid('User', `default/${id}`),
  entities: personEntities({ org: 'default', id, groups, roles: [], disabled }),
});
type ToolChanges = { server?: string; toolset?: string; currentHash?: string };
const tool = (name: string, { server = 'files', toolset = 'read', currentHash = `hash of ${name}` }: ToolChanges = {}) => ({
  uid: entityUid('Tool', `default/default/${server}/${name}`),
  entities: toolEntities({
    ...tenancy,
    server,
    tool: name,
    toolset,
    isolation: 1,
    readOnly: name.startsWith('get'),
    destructive: false,
    idempotent: true,
    openWorld: false,
    approvedHash: `hash of ${name}`,
    currentHash,
  }),
});
const request = (principal: KnownRequest['principal'], resource: KnownRequest['resource'], action = 'listTool'): KnownRequest => ({
  principal,
  action,
  resource,
  surroundings,
  context: { who: { hasHuman: true, run: 'run_1' } },
});
const bindings: ProjectPolicies['bindings'] = [
  {
    name: 'a',
    spec: { subjects: [{ agentRole: 'reader' }, { group: 'readers' }], toolsets: ['read'], models: [], agentRoles: [], fleets: [] },
  },
  { name: 'b', spec: { subjects: [{ person: 'bob' }], toolsets: ['read', 'write'], models: [], agentRoles: [], fleets: [] } },
];
const policiesOf = (...texts: string[]): ProjectPolicies => ({
  policySets: texts.length > 0 ? [{ name: 'p', cedar: texts.join('\n') }] : [],
  bindings,
});
const engineWith = (policies: ProjectPolicies) => {
  const engine = createPolicyEngine();
  expect(engine.load(tenancy, policies)).toEqual({ ok: true });
  return engine;
};

const cedarAlone = (policies: ProjectPolicies, asked: KnownRequest) => {
  const answer = askCedar(tenancy, policies, asked);
  if (answer.type === 'failure' || answer.response.diagnostics.errors.length > 0) throw new Error(JSON.stringify(answer));
  return { effect: answer.response.decision, policies: [...answer.response.diagnostics.reason].sort() };
};

describe('requests that are the same to all policies', () => {
  test('are decided once, whoever asks and about what', () => {
    const engine = engineWith(policiesOf());
    const first = engine.decideKnown(tenancy, request(agent('agent-1'), tool('get_a')));
    expect(first).toMatchObject({ effect: 'allow', policies: ['binding/a/agentRole/reader/toolsets/read'] });
    expect(engine.decideKnown(tenancy, request(agent('agent-2'), tool('get_b', { server: 'other' })))).toBe(first);
  });

  test('are not those that one policy tells apart', () => {
    const engine = engineWith(policiesOf('forbid (principal, action, resource == Quarterdeck::Tool::"default/default/files/get_b");'));
    const ask = (principal: KnownRequest['principal'], resource: KnownRequest['resource']) =>
      engine.decideKnown(tenancy, request(principal, resource)).effect;
    expect(ask(agent('agent-1'), tool('get_a'))).toBe('allow');
    expect(ask(agent('agent-1'), tool('get_b'))).toBe('deny');
    expect(ask(agent('agent-1'), tool('get_c', { currentHash: 'changed' }))).toBe('deny');
    expect(ask(agent('agent-1', { quarantined: true }), tool('get_a'))).toBe('deny');
    expect(ask(agent('agent-1', { role: 'clerk' }), tool('get_a'))).toBe('deny');
    expect(ask(person('ada', ['readers'], true), tool('get_a'))).toBe('deny');
    expect(ask(person('bob'), tool('put_a', { toolset: 'write' }))).toBe('allow');
    expect(ask(person('eve'), tool('put_a', { toolset: 'write' }))).toBe('deny');
  });

  test('get what Cedar alone says, with the policies that it names, for whatever policies', () => {
    const condition = fc.constantFrom(
      'resource.approvedHash == "hash of get_a"',
      'resource.approvedHash != resource.currentHash',
      'resource.hints.readOnly',
      'resource.hints == {readOnly: true, destructive: false, idempotent: true, openWorld: false}',
      'resource in Quarterdeck::Toolset::"default/default/write"',
      'resource in [Quarterdeck::Server::"default/default/other", Quarterdeck::Toolset::"default/default/read"]',
      'resource.server == Quarterdeck::Server::"default/default/other"',
      'resource.server != Quarterdeck::Server::"default/default/other" || resource.hints.readOnly',
      'principal.org == resource.org && resource.project.environment == "development"',
      'principal == principal',
      'context.who.run == "run_1"',
      '!(resource.approvedHash == resource.currentHash)',
      'if resource.hints.readOnly == true then resource.approvedHash == "x" else resource.approvedHash == "y"',
    );
    const scope = fc.constantFrom(
      'principal, action, resource is Quarterdeck::Tool',
      'principal in Quarterdeck::Group::"default/readers", action, resource is Quarterdeck::Tool',
      'principal == Quarterdeck::User::"default/bob", action == Quarterdeck::Action::"listTool", resource',
      'principal is Quarterdeck::Agent, action == Quarterdeck::Action::"listTool", resource in Quarterdeck::Server::"default/default/files"',
    );
    const policy = fc
      .tuple(fc.constantFrom('permit', 'forbid'), scope, fc.constantFrom('when', 'unless'), condition)
      .map(([effect, where, kind, what]) => `${effect} (${where}) ${kind} { ${what} };`);
    const principal = fc.oneof(
      fc
        .record({ id: fc.constantFrom('agent-1', 'agent-2'), role: fc.constantFrom('reader', 'clerk'), quarantined: fc.boolean() })
        .map(({ id, ...rest }) => agent(id, rest)),
      fc
        .record({ id: fc.constantFrom('ada', 'bob'), groups: fc.subarray(['readers', 'others']), disabled: fc.boolean() })
        .map(({ id, groups, disabled }) => person(id, groups, disabled)),
    );
    const resource = fc
      .record({
        name: fc.constantFrom('get_a', 'get_b', 'put_a'),
        server: fc.constantFrom('files', 'other'),
        toolset: fc.constantFrom('read', 'write'),
        isChanged: fc.boolean(),
      })
      .map(({ name, isChanged, ...rest }) => tool(name, { ...rest, ...(isChanged ? { currentHash: 'other' } : {}) }));
    fc.assert(
      fc.property(
        fc.array(policy, { maxLength: 4 }),
        fc.array(fc.tuple(principal, resource), { minLength: 5, maxLength: 20 }),
        (texts, asked) => {
          const policies = policiesOf(...texts);
          const assembled = assemblePolicies(tenancy, policies);
          fc.pre(assembled.ok);
          const engine = engineWith(policies);
          for (const [who, what] of asked) {
            const { effect, policies: named } = engine.decideKnown(tenancy, request(who, what));
            expect({ effect, policies: named.toSorted() }).toEqual(cedarAlone(policies, request(who, what)));
          }
        },
      ),
      { numRuns: 10 },
    );
  }, 60_000);
});
