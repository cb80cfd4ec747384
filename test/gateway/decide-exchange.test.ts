import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decideExchange } from '../../gateway/decide-exchange.ts';
import type { GatewayContext } from '../../gateway/gateway-context.ts';
import type { AgentPrincipal, Principal } from '../../gateway/principal.ts';
import type { Source } from '../../gateway/surface/exposed.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { declaredFrom } from '../../store/declared.ts';

const spec = { toolsets: ['files'], models: [], agentRoles: [], fleets: [] };
const policy = createPolicyEngine();
beforeAll(() => {
  policy.load(defaultTenancy, {
    policySets: [
      {
        name: 'writes',
        cedar: `@id("no-write") forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"exchange", resource == Quarterdeck::Backend::"default/default/files") when { context.scopes.contains("write") };`,
      },
    ],
    bindings: [{ name: 'b', spec: { ...spec, subjects: [{ agentRole: 'reader' }, { group: 'engineers' }] } }],
  });
});
afterAll(() => policy.unload(defaultTenancy));

let frozen = false;
const context = {
  policy,
  declared: () =>
    declaredFrom(
      [
        {
          kind: 'Project',
          metadata: { ...defaultTenancy, name: 'default', labels: {}, annotations: {} },
          spec: { environment: 'production', frozen },
        } as unknown as StoredResource,
      ],
      [],
    ),
  logger: pino({ level: 'silent' }),
} as unknown as GatewayContext;
const agent: AgentPrincipal = {
  ...defaultTenancy,
  kind: 'agent',
  agentId: 'default/default/survey/run_1/read/reader/0',
  ...{ fleet: 'survey', runId: 'run_1', role: 'reader', person: 'ada', assignedPaths: [], volumes: [] },
  limits: {} as AgentPrincipal['limits'],
};
const person = (groups: string[]): Principal => ({
  kind: 'person',
  org: 'default',
  id: 'bea',
  groups,
  roles: [],
  disabled: false,
  stamp: 'login',
  grant: 'token:somebody/test',
});
const source = { tenancy: defaultTenancy, toolset: 'files', server: { metadata: { name: 'files' } } } as unknown as Source;
const bounds = { scopes: ['read', 'write'], maxTtlSeconds: 120 };
const token = { scopes: ['read'], ttlSeconds: 120, depth: 1 };
const ask = (principal: Principal, more: Partial<typeof token> = {}) =>
  decideExchange(context, principal, source, bounds, { ...token, ...more });

test('a token is given to whom the toolset is granted, agents and people', () => {
  expect(ask(agent)).toMatchObject({ effect: 'allow', policies: ['binding/b/agentRole/reader/toolsets/files'] });
  expect(ask(person(['engineers'])).effect).toBe('allow');
  expect(ask(person([])).effect).toBe('deny');
});

test.each([
  ['a scope that the backend does not declare', { scopes: ['read', 'admin'] }],
  ['a life that is longer than it allows', { ttlSeconds: 121 }],
  ['being handed on a fourth time', { depth: 4 }],
])('no token for %s', (_what, more) => {
  expect(ask(agent, more)).toMatchObject({ effect: 'deny', policies: ['platform/exchange-within-backend'] });
});

test('policies of a project narrow it by scope', () => {
  expect(ask(agent, { scopes: ['write'] })).toMatchObject({ effect: 'deny', policies: ['policyset/writes/no-write'] });
  expect(ask(person(['engineers']), { scopes: ['write'] }).effect).toBe('allow');
});

test('a project that freezes gives none', () => {
  frozen = true;
  try {
    expect(ask(agent)).toMatchObject({ effect: 'deny', policies: ['platform/frozen-project-backend'] });
  } finally {
    frozen = false;
  }
});
