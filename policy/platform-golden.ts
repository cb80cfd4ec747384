import { qualifiedName, type Tenancy } from '../schema/ids.ts';
import { assemblePolicies, currentPlatform, type PlatformPolicies, type ProjectPolicies } from './assemble-policies.ts';
import type { Known, KnownRequest } from './decision-cache.ts';
import {
  agentEntities,
  approvalEntity,
  declaredEntity,
  definitionTarget,
  entityUid,
  fleetEntity,
  modelEntity,
  personEntities,
  projectEntities,
  resourceEntities,
  roleEntity,
} from './entities.ts';
import { failedGolden, type GoldenCase, type GoldenFailure } from './golden.ts';
import { noArguments } from './recorded-context.ts';

/** Where the cases play; no name of theirs is one that people declare. */
const home: Tenancy = { org: 'golden', project: 'golden' };
const who = { hasHuman: true, run: 'run_golden' };

const person = ({ org = home.org, roles = [] as string[], groups = [] as string[], disabled = false } = {}): Known => ({
  uid: entityUid('User', `${org}/ada`),
  entities: personEntities({ org, id: 'ada', groups, roles, disabled }),
});

const agent = ({ project = home.project, quarantined = false, paused = false } = {}): Known => ({
  uid: entityUid('Agent', 'golden-agent'),
  entities: [
    ...agentEntities({
      ...home,
      project,
      agentId: 'golden-agent',
      fleet: 'f',
      role: 'reader',
      owner: 'ada',
      quarantined,
      assignedPaths: [],
    }),
    ...(paused ? [{ ...fleetEntity({ ...home, project }, 'f'), attrs: { ...fleetEntity({ ...home, project }, 'f').attrs, paused } }] : []),
  ],
});

const place = { ...home, server: 's', toolset: 't', isolation: 1 };
const hints = { readOnly: true, destructive: false, idempotent: true, openWorld: false };
const definition = (kind: 'tool' | 'prompt' | 'template', currentHash = 'h'): Known => {
  const { resource, entities } = definitionTarget(place, { kind, name: 'x:n', approvedHash: 'h', currentHash, ...hints });
  return { uid: resource, entities };
};
const named = (type: string, entities: Known['entities'], name = 'n'): Known => ({
  uid: entityUid(type, qualifiedName(home, name)),
  entities,
});

const things = {
  tool: definition('tool'),
  prompt: definition('prompt'),
  template: definition('template'),
  resource: {
    uid: entityUid('Resource', `${qualifiedName(home, 's')}/x:1`),
    entities: resourceEntities({ ...place, uri: 'x:1', templates: [] }),
  },
  model: named('Model', [modelEntity(home, 'n', 'tiny')]),
  fleet: named('Fleet', [fleetEntity(home, 'n')]),
  role: named('AgentRole', [roleEntity(home, 'n')]),
  declared: named('Declared', [declaredEntity(home, 'Fleet', 'n')], 'Fleet/n'),
  issuer: named('Declared', [declaredEntity(home, 'IdentityProvider', 'n')], 'IdentityProvider/n'),
  /** Calls that wait: Ada's own, of her; hers, of others; and another's, of engineers. */
  ownApproval: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'ada', approvers: ['person:ada'] })]),
  approvalForOwner: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'ada', approvers: ['group:engineers'] })]),
  askedOfEngineers: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'bea', approvers: ['group:engineers'] })]),
} satisfies Record<string, Known>;

const ask = (
  principal: Known,
  action: string,
  resource: Known,
  { frozen = false, canonical = true }: { frozen?: boolean; canonical?: boolean } = {},
): KnownRequest => ({
  principal,
  action,
  resource,
  surroundings: {
    uid: entityUid('Project', `${home.org}/${home.project}`),
    entities: projectEntities({ ...home, environment: 'production', frozen }),
  },
  context: {
    who,
    ...(['callTool', 'getPrompt', 'readResource'].includes(action) ? { arguments: { ...noArguments, canonical } } : {}),
    ...(action === 'invokeModel' ? { maxTokens: 1 } : {}),
    ...(action === 'approve' ? { mayApproveOwn: false } : {}),
  },
});

const refused = (rule: string, name: string, asked: KnownRequest): GoldenCase => ({
  rule: `platform/${rule}`,
  name,
  asked,
  expect: 'deny',
});

const foreigner = person({ org: 'elsewhere' });
const neighbour = agent({ project: 'other' });
const frozen = { frozen: true };

/** What each guard has to refuse, though everything is permitted. */
export const guardCases: readonly GoldenCase[] = [
  refused('same-org-tool', 'a tool of another organisation', ask(foreigner, 'callTool', things.tool)),
  refused('same-org-prompt', 'a prompt of another organisation', ask(foreigner, 'getPrompt', things.prompt)),
  refused('same-org-resource', 'a resource of another organisation', ask(foreigner, 'readResource', things.resource)),
  refused('same-org-model', 'a model of another organisation', ask(foreigner, 'invokeModel', things.model)),
  refused('same-org-fleet', 'a fleet of another organisation', ask(foreigner, 'launchFleet', things.fleet)),
  refused('same-org-role', 'an agent role of another organisation', ask(foreigner, 'useRole', things.role)),
  refused('same-org-declared', 'what another organisation declares', ask(foreigner, 'applyResource', things.declared)),
  refused('same-project-tool', "an agent and another project's tool", ask(neighbour, 'callTool', things.tool)),
  refused('same-project-prompt', "an agent and another project's prompt", ask(neighbour, 'getPrompt', things.prompt)),
  refused('same-project-resource', "an agent and another project's resource", ask(neighbour, 'readResource', things.resource)),
  refused('same-project-model', "an agent and another project's model", ask(neighbour, 'invokeModel', things.model)),
  refused(
    'administrators-name-issuers',
    'an issuer, of anybody else',
    ask(person({ roles: ['reviewer'] }), 'applyResource', things.issuer),
  ),
  refused('approver-is-not-owner', "an approval of a call of one's own", ask(person(), 'approve', things.ownApproval)),
  refused('named-approvers', 'an approval that is asked of others', ask(person(), 'approve', things.askedOfEngineers)),
  refused('pinned-definition', 'a tool that is not as approved', ask(agent(), 'callTool', definition('tool', 'other'))),
  refused('pinned-definition', 'a tool that was never approved, on a list', ask(agent(), 'listTool', definition('tool', ''))),
  refused('pinned-prompt', 'a prompt that is not as approved', ask(agent(), 'getPrompt', definition('prompt', 'other'))),
  refused('pinned-template', 'a template that is not as approved', ask(agent(), 'readResource', definition('template', 'other'))),
  refused('quarantined-agent', 'an agent in quarantine', ask(agent({ quarantined: true }), 'callTool', things.tool)),
  refused('quarantined-agent', 'an agent of a paused fleet', ask(agent({ paused: true }), 'listTool', things.tool)),
  refused('disabled-person', 'a person who is disabled', ask(person({ disabled: true }), 'getResource', things.declared)),
  refused('frozen-project-tool', 'a call in a frozen project', ask(agent(), 'callTool', things.tool, frozen)),
  refused('frozen-project-prompt', 'a prompt in a frozen project', ask(agent(), 'getPrompt', things.prompt, frozen)),
  refused('frozen-project-resource', 'a read in a frozen project', ask(agent(), 'readResource', things.resource, frozen)),
  refused('frozen-project-model', 'a model in a frozen project', ask(agent(), 'invokeModel', things.model, frozen)),
  refused('frozen-project-fleet', 'a launch in a frozen project', ask(person(), 'launchFleet', things.fleet, frozen)),
  refused('canonical-arguments', 'an argument that can be read in two ways', ask(agent(), 'callTool', things.tool, { canonical: false })),
];

const allowed = (rule: string, name: string, asked: KnownRequest): GoldenCase => ({ rule, name, asked, expect: 'allow' });

const subjects = { toolsets: [], models: [], agentRoles: [], fleets: [], subjects: [{ group: 'engineers' }] };
const engineer = person({ groups: ['engineers'] });
const everyBinding: ProjectPolicies = {
  policySets: [],
  bindings: [{ name: 'b', spec: { ...subjects, toolsets: ['t'], models: ['n'], agentRoles: ['n'], fleets: ['n'] } }],
};

/** What each permit of the platform, and each list of a binding, has to allow by itself. */
export const permitCases: readonly GoldenCase[] = [
  allowed('platform/administrators', 'an administrator', ask(person({ roles: ['administrator'] }), 'deleteResource', things.declared)),
  allowed('platform/reviewers-observe', 'a reviewer who looks', ask(person({ roles: ['reviewer'] }), 'readAudit', things.declared)),
  allowed(
    'platform/reviewers-approve-servers',
    'a reviewer who approves',
    ask(person({ roles: ['reviewer'] }), 'approveServer', things.declared),
  ),
  allowed('platform/reviewers-halt', 'a reviewer who pulls the brake', ask(person({ roles: ['reviewer'] }), 'halt', things.declared)),
  allowed(
    'platform/approvers',
    'an approval that is asked of one',
    ask(person({ groups: ['engineers'] }), 'approve', things.askedOfEngineers),
  ),
  allowed('platform/owners-see-approvals', 'a look at what waits for one', ask(person(), 'seeApproval', things.approvalForOwner)),
  allowed('binding/b/group/engineers/toolsets/t', 'a bound toolset', ask(engineer, 'callTool', things.tool)),
  allowed('binding/b/group/engineers/models/n', 'a bound model', ask(engineer, 'invokeModel', things.model)),
  allowed('binding/b/group/engineers/agentRoles/n', 'a bound agent role', ask(engineer, 'useRole', things.role)),
  allowed('binding/b/group/engineers/fleets/n', 'a bound fleet', ask(engineer, 'launchFleet', things.fleet)),
];

const permitAll = { name: 'golden-permit-all', cedar: 'permit (principal, action, resource);' };

/**
 * The golden decisions of the platform: with any guard taken away, one of them is red. They are asked beside a project's own policies, and
 * a permit of everything, because nothing that a tenant writes may get past a guard.
 */
export const failedPlatformGolden = (
  project: Pick<ProjectPolicies, 'policySets'> = { policySets: [] },
  platform: PlatformPolicies = currentPlatform,
): GoldenFailure[] => {
  const failed = (policies: ProjectPolicies, cases: readonly GoldenCase[]): GoldenFailure[] => {
    const assembled = assemblePolicies(home, policies, platform);
    if (!assembled.ok) throw new Error(assembled.issues[0]?.message);
    return failedGolden(assembled.set, platform.schema, cases);
  };
  return [...failed({ policySets: [...project.policySets, permitAll], bindings: [] }, guardCases), ...failed(everyBinding, permitCases)];
};
