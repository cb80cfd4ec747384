import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';
import { approvalEntity, approvedBy, fixEntities } from '../../policy/approval-entities.ts';
import type { ProjectPolicies } from '../../policy/assemble-policies.ts';
import { agentEntities, personEntities } from '../../policy/caller-entities.ts';
import { declaredEntity, entityUid, fleetEntity, modelEntity, projectEntities, roleEntity } from '../../policy/entities.ts';
import type { Known, KnownRequest } from '../../policy/known.ts';
import { backendEntities, promptEntities, resourceEntities, templateEntities, toolEntities } from '../../policy/toolset-entities.ts';
import {
  actionsOn,
  type Caller,
  type CallFacts,
  type Condition,
  type ReferenceRequest,
  type Rules,
  type Subject,
  type TenantRule,
  type Thing,
} from './reference-gate.ts';

/** Rules and requests for the reference gate, and the same in the words of the engine. */
export const home = { org: 'default', project: 'default' };

const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 14, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
const rarely = mostly(false, true);
const place = fc.record({ org: mostly('default', 'other'), project: mostly('default', 'second') });
const toolset = fc.constantFrom('read', 'write');
const path = fc.constantFrom('/input/a', '/input/b', '/secret');
const host = fc.constantFrom('a.test', 'b.test');
const root = fc.constantFrom('input', 'output', '(none)');
const person = fc.constantFrom('ada', 'ben');

const agent = fc
  .record({
    place,
    ordinal: fc.nat(3),
    role: fc.constantFrom('reader', 'clerk'),
    // an agent of a diagnosis now and then
    fleet: fc.constantFrom('survey', 'survey', 'survey', 'reconcile'),
    owner: person,
    quarantined: rarely,
    fleetPaused: rarely,
    assignedPaths: fc.uniqueArray(path, { maxLength: 2 }),
  })
  .map(({ place: { org, project }, ordinal, ...rest }): Caller => {
    const id = `${org}/${project}/${rest.fleet}/run_1/read/${rest.role}/${ordinal}`;
    return { kind: 'agent', org, project, id, ...rest };
  });
const human = fc
  .record({
    org: mostly('default', 'other'),
    id: person,
    groups: fc.subarray(['engineers', 'guests']),
    roles: fc.oneof(
      { weight: 4, arbitrary: fc.constant<string[]>([]) },
      { weight: 1, arbitrary: fc.subarray(['administrator', 'reviewer', 'else']) },
    ),
    disabled: rarely,
  })
  .map((facts): Caller => ({ kind: 'person', ...facts }));

const secrecy = fc.nat(3);
const behind = { sink: fc.boolean(), maxSecrecy: secrecy, toolset, server: fc.constantFrom('files', 'web'), isolation: fc.nat(2) };
const pinned = { approvedHash: mostly('h', 'other', ''), currentHash: mostly('h', 'other', '') };
const thing: fc.Arbitrary<Thing> = fc
  .tuple(
    place,
    fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('tool' as const),
          name: fc.constantFrom('look', 'act'),
          ...behind,
          ...pinned,
          readOnly: fc.boolean(),
          openWorld: fc.boolean(),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('prompt' as const), name: fc.constantFrom('review', 'plan'), ...behind, ...pinned }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('template' as const), name: fc.constant('file:///{path}'), ...behind, ...pinned }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('resource' as const),
          name: fc.constantFrom('file:///a', 'note:b'),
          ...behind,
          template: fc.constantFrom('file:///{path}', null),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('model' as const), name: fc.constantFrom('small', 'large'), maxSecrecy: secrecy }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('fleet' as const), name: fc.constantFrom('survey', 'sweep') }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('role' as const), name: fc.constantFrom('reader', 'clerk') }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('declared' as const),
          name: fc.constantFrom('Fleet/survey', 'McpServer/files', 'Person/ada', 'Channel/ops', 'ReconcileTarget/shop'),
          submitters: fc.uniqueArray(person, { maxLength: 2 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('project' as const) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          ...{ kind: fc.constant('fix' as const), name: fc.constant('fix_1'), owner: fc.constantFrom('ada', 'eve') },
          submitters: fc.uniqueArray(fc.constantFrom('ada', 'ben', 'eve'), { maxLength: 2 }),
          ...{ isAsPlanned: mostly(true, false), isNamed: fc.boolean(), isNever: rarely },
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('backend' as const),
          ...behind,
          name: fc.constant('files'),
          scopes: fc.subarray(['read', 'write']),
          maxTtlSeconds: fc.constantFrom(60, 120),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('approval' as const),
          name: fc.constant('apr_1'),
          owner: person,
          approvers: fc.subarray(['role:reviewer', 'role:else', 'group:engineers', 'person:ada'], { minLength: 1 }),
          acr: mostly(1, 2, 3),
        }),
      },
    ),
  )
  .map(([where, what]) => ({ ...where, ...what }) as Thing);

const facts: fc.Arbitrary<CallFacts> = fc.record({
  paths: fc.uniqueArray(path, { maxLength: 3 }),
  roots: fc.uniqueArray(root, { maxLength: 2 }),
  urls: fc.uniqueArray(fc.constantFrom('https://a.test/', 'https://b.test/x'), { maxLength: 2 }),
  hosts: fc.uniqueArray(host, { maxLength: 2 }),
  canonical: mostly(true, false),
  bytes: fc.constantFrom(2, 10, 11, 1000),
});

export const requestArbitrary: fc.Arbitrary<ReferenceRequest> = thing.chain((thing) =>
  fc.record({
    caller: fc.oneof({ weight: 3, arbitrary: agent }, { weight: 2, arbitrary: human }),
    action: fc.constantFrom(...actionsOn[thing.kind], ...(thing.kind === 'tool' ? ['callTool', 'callTool'] : [])),
    thing: fc.constant(thing),
    frozen: rarely,
    environment: fc.constantFrom('development', 'production'),
    run: fc.constantFrom('run_1', 'run_2'),
    facts,
    maxTokens: fc.constantFrom(1, 1000),
    carries: fc.oneof(
      { weight: 2, arbitrary: fc.constant({ secrecy: 0, tainted: false }) },
      { weight: 1, arbitrary: fc.record({ secrecy, tainted: fc.boolean() }) },
    ),
    approved: mostly(false, true),
    isAlone: rarely,
    authAge: mostly(0, 300, 301, 86_400),
    acr: mostly(2, 0, 1, 3),
    verdict: mostly('approve' as const, 'deny' as const),
    token: fc.record({
      scopes: fc.subarray(['read', 'write', 'admin']),
      ttl: fc.constantFrom(30, 60, 61, 120, 121),
      depth: fc.constantFrom(0, 3, 4),
    }),
  }),
);

const anywhere: fc.Arbitrary<Condition>[] = [
  fc.record({ look: fc.constant('run-is' as const), run: fc.constantFrom('run_1', 'run_2') }),
  fc.record({ look: fc.constant('isolation-over' as const), tier: fc.nat(2) }),
  fc.record({ look: fc.constant('owner-is' as const), person }),
  fc.record({ look: fc.constant('environment-is' as const), environment: fc.constantFrom('development', 'production') }),
];
const onTools: fc.Arbitrary<Condition>[] = [fc.constant({ look: 'read-only' }), fc.constant({ look: 'open-world' })];
const onArguments: fc.Arbitrary<Condition>[] = [
  fc.record({ look: fc.constant('root-in' as const), roots: fc.uniqueArray(root, { minLength: 1, maxLength: 2 }) }),
  fc.record({ look: fc.constant('has-path' as const), path }),
  fc.constant({ look: 'own-paths' }),
  fc.record({ look: fc.constant('host-in' as const), hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }) }),
  fc.record({ look: fc.constant('bytes-over' as const), bytes: fc.constantFrom(2, 10, 500) }),
];
/** What a strict schema lets a rule for each action look at. */
const looksOf = {
  callTool: [...anywhere, ...onTools, ...onArguments],
  listTool: [...anywhere, ...onTools],
  getPrompt: [...anywhere, ...onArguments],
};

const rule: fc.Arbitrary<TenantRule> = fc
  .constantFrom('callTool' as const, 'callTool' as const, 'listTool' as const, 'getPrompt' as const)
  .chain((action) =>
    fc.record({
      effect: fc.constantFrom('permit' as const, 'forbid' as const),
      action: fc.constant(action),
      role: fc.constantFrom('reader', 'clerk', null),
      toolset: fc.option(toolset),
      when: fc.array(fc.oneof(...looksOf[action]), { maxLength: 2 }),
      unless: fc.array(fc.oneof(...looksOf[action]), { maxLength: 2 }),
      asks: action === 'callTool' ? fc.boolean() : fc.constant(false),
    }),
  );

const subject: fc.Arbitrary<Subject> = fc.oneof(
  fc.record({ agentRole: fc.constantFrom('reader', 'clerk') }),
  fc.record({ group: fc.constantFrom('engineers', 'guests') }),
  fc.record({ person }),
);
const binding = fc.record({
  subjects: fc.array(subject, { minLength: 1, maxLength: 2 }),
  toolsets: fc.subarray(['read', 'write'], { minLength: 1 }),
  models: fc.subarray(['small', 'large']),
  agentRoles: fc.subarray(['reader', 'clerk']),
  fleets: fc.subarray(['survey', 'sweep']),
});
export const rulesArbitrary: fc.Arbitrary<Rules> = fc.record({
  bindings: fc.array(binding, { minLength: 1, maxLength: 5 }),
  tenant: fc.array(rule, { maxLength: 6 }),
});

const set = (texts: string[]): string => JSON.stringify(texts);
const cedarOf = (condition: Condition): string => {
  switch (condition.look) {
    case 'root-in':
      return `${set(condition.roots)}.containsAll(context.arguments.roots)`;
    case 'has-path':
      return `context.arguments.paths.contains("${condition.path}")`;
    case 'own-paths':
      return 'principal.assignedPaths.containsAll(context.arguments.paths)';
    case 'host-in':
      return `${set(condition.hosts)}.containsAll(context.arguments.hosts)`;
    case 'bytes-over':
      return `context.arguments.bytes > ${condition.bytes}`;
    case 'run-is':
      return `context.who.run == "${condition.run}"`;
    case 'isolation-over':
      return `resource.server.isolation > ${condition.tier}`;
    case 'owner-is':
      return `principal.owner == Quarterdeck::User::"${home.org}/${condition.person}"`;
    case 'environment-is':
      return `resource.project.environment == "${condition.environment}"`;
    case 'read-only':
      return 'resource.hints.readOnly';
    case 'open-world':
      return 'resource.hints.openWorld';
  }
};

const clause = (kind: 'when' | 'unless', conditions: Condition[]): string =>
  conditions.length === 0 ? '' : ` ${kind} { ${conditions.map(cedarOf).join(' && ')} }`;
const scopeOf = ({ action, role, toolset }: TenantRule): string =>
  [
    `principal is Quarterdeck::Agent${role ? ` in Quarterdeck::AgentRole::"default/default/${role}"` : ''}`,
    `action == Quarterdeck::Action::"${action}"`,
    `resource${toolset ? ` in Quarterdeck::Toolset::"default/default/${toolset}"` : ''}`,
  ].join(', ');
const ruleText = (rule: TenantRule): string => {
  const { effect, when, unless, asks } = rule;
  const asking = asks ? ` ${effect === 'permit' ? 'when' : 'unless'} { context.approvedCall }` : '';
  return `${asks ? '@approve("role:reviewer") ' : ''}${effect} (${scopeOf(rule)})${clause('when', when)}${clause('unless', unless)}${asking};`;
};

/** The rules as a project declares them. */
export const policiesOf = ({ bindings, tenant }: Rules): ProjectPolicies => ({
  policySets: tenant.length > 0 ? [{ name: 'tenant', cedar: tenant.map(ruleText).join('\n') }] : [],
  bindings: bindings.map((spec, index) => ({ name: `binding-${index}`, spec })),
});

const callerKnown = (caller: Caller): Known => {
  if (caller.kind === 'person') return { uid: entityUid('User', `${caller.org}/${caller.id}`), entities: personEntities(caller) };
  const entities = agentEntities({ ...caller, agentId: caller.id });
  const paused = (entity: EntityJson): EntityJson =>
    'type' in entity.uid && entity.uid.type === 'Quarterdeck::Fleet'
      ? { ...entity, attrs: { ...entity.attrs, paused: caller.fleetPaused } }
      : entity;
  return { uid: entityUid('Agent', caller.id), entities: entities.map(paused) };
};

/** A fix of the target `shop`, with the agent that proposed it. */
const fixKnown = ({ org, project, name, owner, submitters, isNever }: Extract<Thing, { kind: 'fix' }>): EntityJson[] => {
  const agentId = `${org}/${project}/reconcile/run_1/shop/mechanic/0`;
  return [
    ...fixEntities({
      ...{ org, project, id: name, target: { name: 'shop', critical: false, labels: [] }, kind: 'k', source: 'model', confidence: 90 },
      ...{ operations: ['scale'], traits: isNever ? ['foreign'] : ['attended'], objects: 1, percent: 10, namespaces: [], kinds: [] },
      ...{ blast: 1, reversible: true, planHash: 'h', submitters, proposer: agentId },
    }),
    ...agentEntities({ org, project, agentId, fleet: 'reconcile', role: 'mechanic', owner, quarantined: false, assignedPaths: [] }),
  ];
};

const thingKnown = (thing: Thing): Known => {
  const id = 'name' in thing ? `${thing.org}/${thing.project}/${thing.name}` : `${thing.org}/${thing.project}`;
  const behindId = 'server' in thing ? `${thing.org}/${thing.project}/${thing.server}/${thing.name}` : '';
  switch (thing.kind) {
    case 'tool':
      return {
        uid: entityUid('Tool', behindId),
        entities: toolEntities({ ...thing, tool: thing.name, destructive: false, idempotent: true }),
      };
    case 'prompt':
      return { uid: entityUid('Prompt', behindId), entities: promptEntities({ ...thing, prompt: thing.name }) };
    case 'template':
      return { uid: entityUid('Template', behindId), entities: templateEntities({ ...thing, uriTemplate: thing.name }) };
    case 'resource': {
      const templates = thing.template === null ? [] : [{ ...thing, uriTemplate: thing.template, approvedHash: 'h', currentHash: 'h' }];
      return { uid: entityUid('Resource', behindId), entities: resourceEntities({ ...thing, uri: thing.name, templates }) };
    }
    case 'model':
      return { uid: entityUid('Model', id), entities: [modelEntity(thing, thing.name, 'tiny', thing.maxSecrecy)] };
    case 'fleet':
      return { uid: entityUid('Fleet', id), entities: [fleetEntity(thing, thing.name)] };
    case 'role':
      return { uid: entityUid('AgentRole', id), entities: [roleEntity(thing, thing.name)] };
    case 'declared':
      return {
        uid: entityUid('Declared', id),
        entities: [declaredEntity(thing, thing.name.split('/')[0] ?? '', thing.name.split('/')[1] ?? '', thing.submitters)],
      };
    case 'approval':
      return { uid: entityUid('Approval', id), entities: [approvalEntity({ ...thing, id: thing.name })] };
    case 'backend':
      return { uid: entityUid('Backend', `${thing.org}/${thing.project}/${thing.server}`), entities: backendEntities(thing) };
    case 'fix':
      return { uid: entityUid('Fix', id), entities: fixKnown(thing) };
    case 'project':
      return { uid: entityUid('Project', id), entities: [] };
  }
};

/** The request as the engine is asked. */
export const knownRequest = (request: ReferenceRequest): KnownRequest => {
  const { caller, action, thing, frozen, environment, run, facts, maxTokens, carries, approved, isAlone, authAge, acr, verdict, token } =
    request;
  const who = { hasHuman: true, run };
  const hasArguments = ['callTool', 'getPrompt', 'readResource'].includes(action);
  return {
    principal: callerKnown(caller),
    action,
    resource: thingKnown(thing),
    surroundings: {
      uid: entityUid('Project', `${thing.org}/${thing.project}`),
      entities: projectEntities({ org: thing.org, project: thing.project, environment, frozen }),
    },
    context: {
      who,
      ...(hasArguments || action === 'invokeModel' ? { flow: { ...carries, sources: [] } } : {}),
      ...(hasArguments ? { arguments: facts } : {}),
      ...(action === 'invokeModel' ? { maxTokens } : {}),
      ...(['approve', 'approveServer', 'loosenGuards'].includes(action) ? { who: { ...who, authAge, acr }, mayApproveOwn: isAlone } : {}),
      ...(action === 'approve' ? { verdict } : {}),
      ...(thing.kind === 'fix'
        ? { who: { ...who, authAge, acr }, mayApproveOwn: isAlone, named: thing.isNamed, planHash: thing.isAsPlanned ? 'h' : 'other' }
        : {}),
      ...(action === 'exchange' ? token : {}),
      ...(action === 'callTool' && approved ? approvedBy(thing.org, ['ada']) : {}),
    },
  };
};
