import { describe, expect, test } from 'vitest';
import type { ProjectPolicies } from '../../policy/assemble-policies.ts';
import { agentEntities, personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, modelEntity, projectEntities } from '../../policy/entities.ts';
import { platformPolicies } from '../../policy/platform-policies.ts';
import { promptEntities, resourceEntities, templateEntities, toolEntities } from '../../policy/toolset-entities.ts';
import type { AccessBindingSpec } from '../../schema/resources/access.ts';

const tenancy = { org: 'default', project: 'default' };
const who = { hasHuman: true, run: 'run_1' };
const plainArguments = { paths: ['/input/a'], roots: ['input'], urls: [], hosts: [], canonical: true, bytes: 10 };
const binding = (spec: Partial<AccessBindingSpec>): AccessBindingSpec => ({
  subjects: [{ agentRole: 'reader' }],
  toolsets: [],
  models: [],
  agentRoles: [],
  fleets: [],
  ...spec,
});
const granted: ProjectPolicies = {
  policySets: [],
  bindings: [{ name: 'readers', spec: binding({ toolsets: ['read'], models: ['survey'] }) }],
};

type Changes = {
  org?: string;
  project?: string;
  role?: string;
  quarantined?: boolean;
  frozen?: boolean;
  approvedHash?: string;
  currentHash?: string;
  toolset?: string;
  arguments?: Partial<typeof plainArguments>;
};

const ask = (policies: ProjectPolicies, action: 'listTool' | 'callTool', changes: Changes = {}) => {
  const engine = createPolicyEngine();
  expect(engine.load(tenancy, policies)).toEqual({ ok: true });
  const {
    org = 'default',
    project = 'default',
    role = 'reader',
    quarantined = false,
    frozen = false,
    approvedHash = 'h',
    currentHash = 'h',
    toolset = 'read',
  } = changes;
  return engine.decide(tenancy, {
    principal: entityUid('Agent', 'agent-1'),
    action,
    resource: entityUid('Tool', 'default/default/files/read_file'),
    context: action === 'listTool' ? { who } : { who, arguments: { ...plainArguments, ...changes.arguments } },
    entities: [
      ...projectEntities({ ...tenancy, environment: 'development', frozen }),
      ...(org === 'default' && project === 'default'
        ? []
        : projectEntities({ org, project, environment: 'development', frozen: false }).slice(org === 'default' ? 1 : 0)),
      ...agentEntities({ org, project, agentId: 'agent-1', fleet: 'survey', role, owner: 'ada', quarantined, assignedPaths: ['/input/a'] }),
      ...toolEntities({
        ...tenancy,
        server: 'files',
        tool: 'read_file',
        toolset,
        isolation: 1,
        readOnly: true,
        destructive: false,
        idempotent: true,
        openWorld: false,
        approvedHash,
        currentHash,
      }),
    ],
  });
};

describe('decisions', () => {
  test('denies whatever nothing permits', () => {
    expect(ask({ policySets: [], bindings: [] }, 'listTool')).toMatchObject({ effect: 'deny', policies: [] });
  });

  test('lets a bound role list and call, and names the binding', () => {
    expect(ask(granted, 'listTool')).toMatchObject({ effect: 'allow', policies: ['binding/readers/agentRole/reader/toolsets/read'] });
    expect(ask(granted, 'callTool')).toMatchObject({ effect: 'allow' });
  });

  test('does not let a binding of one role serve another, or of one toolset another', () => {
    expect(ask(granted, 'callTool', { role: 'clerk' }).effect).toBe('deny');
    expect(ask(granted, 'callTool', { toolset: 'write' }).effect).toBe('deny');
  });

  test.each<[string, Changes, string]>([
    ['a changed definition', { currentHash: 'other' }, 'platform/pinned-definition'],
    ['an unapproved definition', { approvedHash: '', currentHash: '' }, 'platform/pinned-definition'],
    ['a quarantined agent', { quarantined: true }, 'platform/quarantined-agent'],
    ['a frozen project', { frozen: true }, 'platform/frozen-project-tool'],
    ['an argument that is not canonical', { arguments: { canonical: false } }, 'platform/canonical-arguments'],
    ['an agent of another organisation', { org: 'other' }, 'platform/same-org-tool'],
    ['an agent of another project', { project: 'other' }, 'platform/same-project-tool'],
  ])('refuses %s although everything is permitted, and says which guard did', (_what, changes, guard) => {
    const everything: ProjectPolicies = { policySets: [{ name: 'all', cedar: 'permit (principal, action, resource);' }], bindings: [] };
    const decision = ask(everything, 'callTool', changes);
    expect(decision.effect).toBe('deny');
    expect(decision.policies).toContain(guard);
    expect(decision.advice).toHaveLength(decision.policies.length);
  });

  test('narrows a binding by what a policy says of paths', () => {
    const cedar = `@id("own-file") @advice("Read your own file only.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource in Quarterdeck::Toolset::"default/default/read")
unless { context.arguments.roots.contains("input") && principal.assignedPaths.containsAll(context.arguments.paths) };`;
    const policies = { ...granted, policySets: [{ name: 'survey', cedar }] };
    expect(ask(policies, 'callTool').effect).toBe('allow');
    expect(ask(policies, 'callTool', { arguments: { paths: ['/input/b'] } })).toMatchObject({
      effect: 'deny',
      policies: ['policyset/survey/own-file'],
      advice: ['Read your own file only.'],
    });
    expect(ask(policies, 'callTool', { arguments: { roots: [] } }).effect).toBe('deny');
  });

  test('denies when a policy cannot be evaluated, although Cedar itself would skip it', () => {
    const cedar =
      'forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.bytes * 9223372036854775807 > 0 };';
    const decision = ask({ ...granted, policySets: [{ name: 'overflow', cedar }] }, 'callTool');
    expect(decision.effect).toBe('deny');
    expect(decision.error).toMatch(/overflow/);
  });

  test('denies a request that does not fit the schema', () => {
    const engine = createPolicyEngine();
    engine.load(tenancy, granted);
    const decision = engine.decide(tenancy, {
      principal: entityUid('User', 'default/ada'),
      action: 'callTool',
      resource: entityUid('Model', 'x'),
      context: {},
      entities: [],
    });
    expect(decision).toMatchObject({ effect: 'deny' });
    expect(decision.error).toBeDefined();
  });

  test('denies for a project whose policies were never loaded', () => {
    const decision = createPolicyEngine().decide(tenancy, {
      principal: entityUid('User', 'a'),
      action: 'listTool',
      resource: entityUid('Tool', 'b'),
      context: { who },
      entities: [],
    });
    expect(decision).toMatchObject({ effect: 'deny', error: expect.stringContaining('no policies') });
  });

  test('lets a person of a bound group use a model, and no other', () => {
    const engine = createPolicyEngine();
    engine.load(tenancy, {
      policySets: [],
      bindings: [{ name: 'b', spec: binding({ subjects: [{ group: 'engineers' }], models: ['survey'] }) }],
    });
    const askModel = (groups: string[], disabled = false) =>
      engine.decide(tenancy, {
        principal: entityUid('User', 'default/ada'),
        action: 'invokeModel',
        resource: entityUid('Model', 'default/default/survey'),
        context: { who, maxTokens: 10 },
        entities: [
          ...projectEntities({ ...tenancy, environment: 'development', frozen: false }),
          ...personEntities({ org: 'default', id: 'ada', groups, roles: [], disabled }),
          modelEntity(tenancy, 'survey', 'tiny'),
        ],
      }).effect;
    expect([askModel(['engineers']), askModel([]), askModel(['engineers'], true)]).toEqual(['allow', 'deny', 'deny']);
  });
});

describe('decisions on prompts, templates and resources', () => {
  const place = { ...tenancy, server: 'files', toolset: 'read', isolation: 1 };
  const template = { ...place, uriTemplate: 'file:///{path}', approvedHash: 'h', currentHash: 'h' };
  const things = {
    prompt: {
      actions: ['listPrompt', 'getPrompt'],
      resource: entityUid('Prompt', 'default/default/files/review'),
      entities: (hash: string) => promptEntities({ ...place, prompt: 'review', approvedHash: 'h', currentHash: hash }),
    },
    template: {
      actions: ['listResource', 'readResource'],
      resource: entityUid('Template', 'default/default/files/file:///{path}'),
      entities: (hash: string) => templateEntities({ ...template, currentHash: hash }),
    },
    resource: {
      actions: ['listResource', 'readResource'],
      resource: entityUid('Resource', 'default/default/files/file:///a'),
      entities: () => resourceEntities({ ...place, uri: 'file:///a', templates: [template] }),
    },
  } as const;
  const askFor = (
    kind: keyof typeof things,
    action: string,
    policies: ProjectPolicies,
    { org = 'default', project = 'default', frozen = false, currentHash = 'h', canonical = true } = {},
  ) => {
    const engine = createPolicyEngine();
    expect(engine.load(tenancy, policies)).toEqual({ ok: true });
    const { resource, entities } = things[kind];
    const isOther = org !== 'default' || project !== 'default';
    return engine.decide(tenancy, {
      principal: entityUid('Agent', 'agent-1'),
      action,
      resource,
      context: action.startsWith('list') ? { who } : { who, arguments: { ...plainArguments, canonical } },
      entities: [
        ...projectEntities({ ...tenancy, environment: 'development', frozen }),
        ...(isOther ? projectEntities({ org, project, environment: 'development', frozen: false }).slice(org === 'default' ? 1 : 0) : []),
        ...agentEntities({
          org,
          project,
          agentId: 'agent-1',
          fleet: 'f',
          role: 'reader',
          owner: 'ada',
          quarantined: false,
          assignedPaths: [],
        }),
        ...entities(currentHash),
      ],
    });
  };
  const everything: ProjectPolicies = { policySets: [{ name: 'all', cedar: 'permit (principal, action, resource);' }], bindings: [] };
  const kinds = Object.keys(things) as (keyof typeof things)[];

  test.each(kinds)('a bound toolset grants its %ss, and nothing else does', (kind) => {
    for (const action of things[kind].actions) {
      expect(askFor(kind, action, granted)).toMatchObject({
        effect: 'allow',
        policies: ['binding/readers/agentRole/reader/toolsets/read'],
      });
      expect(askFor(kind, action, { policySets: [], bindings: [] }).effect).toBe('deny');
    }
  });

  test.each<[keyof typeof things, object, string, RegExp]>([
    ['prompt', { org: 'other' }, 'getPrompt', /^platform\/same-org-prompt$/],
    ['prompt', { project: 'other' }, 'listPrompt', /^platform\/same-project-prompt$/],
    ['prompt', { currentHash: 'x' }, 'listPrompt', /^platform\/pinned-prompt$/],
    ['prompt', { frozen: true }, 'getPrompt', /^platform\/frozen-project-prompt$/],
    ['prompt', { canonical: false }, 'getPrompt', /^platform\/canonical-arguments$/],
    ['template', { currentHash: 'x' }, 'listResource', /^platform\/pinned-template$/],
    ['template', { org: 'other' }, 'listResource', /^platform\/same-org-resource$/],
    ['resource', { org: 'other' }, 'readResource', /^platform\/same-org-resource$/],
    ['resource', { project: 'other' }, 'readResource', /^platform\/same-project-resource$/],
    ['resource', { frozen: true }, 'readResource', /^platform\/frozen-project-resource$/],
    ['resource', { canonical: false }, 'readResource', /^platform\/canonical-arguments$/],
  ])('a guard refuses the %s with %j for %s although everything is permitted', (kind, changes, action, guard) => {
    const decision = askFor(kind, action, everything, changes);
    expect(decision.effect).toBe('deny');
    expect(decision.policies.some((id) => guard.test(id))).toBe(true);
    expect(decision.advice).toHaveLength(decision.policies.length);
  });

  test('a frozen project still lists', () => {
    expect(askFor('prompt', 'listPrompt', everything, { frozen: true }).effect).toBe('allow');
    expect(askFor('resource', 'listResource', everything, { frozen: true }).effect).toBe('allow');
  });

  test('a policy on a template holds for what is read through it, and one on a URI for that', () => {
    const forbid = (scope: string, when = '') => ({
      policySets: [...everything.policySets, { name: 'no', cedar: `forbid (principal, action, ${scope}) ${when};` }],
      bindings: [],
    });
    const inTemplate = forbid('resource in Quarterdeck::Template::"default/default/files/file:///{path}"');
    expect(askFor('resource', 'readResource', inTemplate).effect).toBe('deny');
    const byUri = forbid('resource is Quarterdeck::Resource', 'when { resource.scheme == "file" && resource.uri like "file:///a*" }');
    expect(askFor('resource', 'readResource', byUri).effect).toBe('deny');
    expect(askFor('template', 'readResource', byUri).effect).toBe('allow');
  });
});

describe('putting policies into force', () => {
  test('refuses text that does not parse, with its line and column', () => {
    const loaded = createPolicyEngine().load(tenancy, {
      policySets: [{ name: 'x', cedar: 'permit (principal,\n action resource);' }],
      bindings: [],
    });
    expect(loaded).toMatchObject({ ok: false, issues: [{ name: 'x', line: 2 }] });
  });

  test('refuses what the schema does not know, and names it', () => {
    const cedar = 'forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { context.argumentz.canonical };';
    const loaded = createPolicyEngine().load(tenancy, { policySets: [{ name: 'x', cedar }], bindings: [] });
    expect(loaded).toMatchObject({ ok: false, issues: [{ message: expect.stringContaining('argumentz') }] });
  });

  test('keeps the last good policies in force when the next are bad', () => {
    const engine = createPolicyEngine();
    engine.load(tenancy, granted);
    expect(engine.load(tenancy, { policySets: [{ name: 'x', cedar: 'nonsense' }], bindings: [] }).ok).toBe(false);
    const decision = engine.decide(tenancy, {
      principal: entityUid('Agent', 'agent-1'),
      action: 'invokeModel',
      resource: entityUid('Model', 'default/default/survey'),
      context: { who, maxTokens: 10 },
      entities: [
        ...projectEntities({ ...tenancy, environment: 'development', frozen: false }),
        ...agentEntities({
          ...tenancy,
          agentId: 'agent-1',
          fleet: 'f',
          role: 'reader',
          owner: 'ada',
          quarantined: false,
          assignedPaths: [],
        }),
        modelEntity(tenancy, 'survey', 'tiny'),
      ],
    });
    expect(decision.effect).toBe('allow');
  });

  test('refuses a template in a PolicySet: those are for bindings', () => {
    const loaded = createPolicyEngine().load(tenancy, {
      policySets: [{ name: 'x', cedar: 'permit (principal == ?principal, action, resource);' }],
      bindings: [],
    });
    expect(loaded.ok).toBe(false);
  });

  test('cannot be taken away or stood in for by a tenant, whatever its policies are called', () => {
    const ids = Object.keys(platformPolicies).filter((id) => platformPolicies[id]?.includes('forbid'));
    const cedar = ids.map((id) => `@id("${id.replace('platform/', '')}") permit (principal, action, resource);`).join('\n');
    const policies = { policySets: [{ name: 'platform', cedar }], bindings: [] };
    expect(ask(policies, 'callTool', { arguments: { canonical: false } })).toMatchObject({
      effect: 'deny',
      policies: ['platform/canonical-arguments'],
    });
    expect(ask(policies, 'callTool', { currentHash: 'other' }).effect).toBe('deny');
  });

  test('grants a group, a person and a role of one name apart', () => {
    const spec = binding({ subjects: [{ group: 'ops' }, { person: 'ops' }, { agentRole: 'ops' }], toolsets: ['read'] });
    const policies = { policySets: [], bindings: [{ name: 'b', spec }] };
    expect(ask(policies, 'callTool', { role: 'ops' })).toMatchObject({
      effect: 'allow',
      policies: ['binding/b/agentRole/ops/toolsets/read'],
    });
  });

  test('has advice on every guard', () => {
    for (const [id, text] of Object.entries(platformPolicies)) if (text.includes('forbid')) expect(text, id).toContain('@advice("');
  });
});
