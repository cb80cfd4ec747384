import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import type { DefinitionKind } from '../schema/definition.ts';
import { qualifiedName, reconcileFleet, type Tenancy } from '../schema/ids.ts';

const uid = (type: string, id: string): TypeAndId => ({ type: `Quarterdeck::${type}`, id });
const ref = (type: string, id: string) => ({ __entity: uid(type, id) });

/** Ids of entities, as policies write them. */
export const entityUid = uid;

type ProjectFacts = Tenancy & { environment: string; frozen: boolean };

const inProject = (
  type: string,
  { org, project }: Tenancy,
  name: string,
  attrs: EntityJson['attrs'] = {},
  parents: TypeAndId[] = [],
): EntityJson => ({
  uid: uid(type, qualifiedName({ org, project }, name)),
  attrs: { org: ref('Org', org), project: ref('Project', `${org}/${project}`), ...attrs },
  parents: [uid('Project', `${org}/${project}`), ...parents],
});

export const projectEntities = ({ org, project, environment, frozen }: ProjectFacts): EntityJson[] => [
  { uid: uid('Org', org), attrs: {}, parents: [] },
  { uid: uid('Project', `${org}/${project}`), attrs: { org: ref('Org', org), environment, frozen }, parents: [uid('Org', org)] },
];

export type PersonFacts = { org: string; id: string; groups: string[]; roles: string[]; disabled: boolean };

/** A person with groups and roles; roles are of the platform, groups of the org. */
export const personEntities = ({ org, id, groups, roles, disabled }: PersonFacts): EntityJson[] => [
  {
    uid: uid('User', `${org}/${id}`),
    attrs: { org: ref('Org', org), disabled },
    parents: [...groups.map((group) => uid('Group', `${org}/${group}`)), ...roles.map((role) => uid('Role', role))],
  },
  ...groups.map((group): EntityJson => ({ uid: uid('Group', `${org}/${group}`), attrs: {}, parents: [] })),
  ...roles.map((role): EntityJson => ({ uid: uid('Role', role), attrs: {}, parents: [] })),
];

export type AgentFacts = Tenancy & {
  agentId: string;
  fleet: string;
  role: string;
  owner: string;
  quarantined: boolean;
  assignedPaths: string[];
};

/** An agent of a run, its fleet and its role. The owner is the person who launched it. */
export const agentEntities = ({ org, project, agentId, fleet, role, owner, quarantined, assignedPaths }: AgentFacts): EntityJson[] => [
  {
    uid: uid('Agent', agentId),
    attrs: {
      org: ref('Org', org),
      project: ref('Project', `${org}/${project}`),
      fleet: ref('Fleet', qualifiedName({ org, project }, fleet)),
      owner: ref('User', `${org}/${owner}`),
      quarantined,
      assignedPaths,
    },
    parents: [
      uid('Fleet', qualifiedName({ org, project }, fleet)),
      uid('AgentRole', qualifiedName({ org, project }, role)),
      ...(fleet === reconcileFleet ? [uid('Role', 'diagnoser')] : []),
    ],
  },
  fleetEntity({ org, project }, fleet),
  roleEntity({ org, project }, role),
  ...(fleet === reconcileFleet ? [roleOfPlatform('diagnoser')] : []),
];

const roleOfPlatform = (name: string): EntityJson => ({ uid: uid('Role', name), attrs: {}, parents: [] });

/**
 * What applies fixes of one target: no agent of a run, and never the one that proposed them.
 * @param owner - the person who declared the target
 */
export const reconcilerEntities = (place: Tenancy, target: string, owner: string): EntityJson[] => {
  const fleet = uid('Fleet', qualifiedName(place, reconcileFleet));
  return [
    {
      uid: uid('Agent', reconcilerId(place, target)),
      attrs: {
        org: ref('Org', place.org),
        project: ref('Project', `${place.org}/${place.project}`),
        fleet: { __entity: fleet },
        owner: ref('User', `${place.org}/${owner}`),
        quarantined: false,
        assignedPaths: [],
      },
      parents: [fleet, uid('Role', 'reconciler')],
    },
    fleetEntity(place, reconcileFleet),
    roleOfPlatform('reconciler'),
  ];
};
export const reconcilerId = ({ org, project }: Tenancy, target: string): string => `reconcile/${org}/${project}/${target}`;

export const fleetEntity = (tenancy: Tenancy, name: string): EntityJson => inProject('Fleet', tenancy, name, { paused: false });
export const roleEntity = (tenancy: Tenancy, name: string): EntityJson => inProject('AgentRole', tenancy, name);
export const modelEntity = (tenancy: Tenancy, name: string, quality: string, maxSecrecy = 0): EntityJson =>
  inProject('Model', tenancy, name, { quality, maxSecrecy });
/** @param submitters - people of the org who wrote what is declared now; empty where nobody is known */
export const declaredEntity = (tenancy: Tenancy, kind: string, name: string, submitters: readonly string[] = []): EntityJson =>
  inProject('Declared', tenancy, `${kind}/${name}`, {
    kind,
    submitters: submitters.map((person) => ref('User', `${tenancy.org}/${person}`)),
  });

/** @property approvers - `role:NAME`, `group:NAME` or `person:NAME`, as the policies write them
 * @property acr - level of login that it takes, 1 by default */
export type ApprovalFacts = Tenancy & { id: string; owner: string; approvers: readonly string[]; acr?: number };

/** An approval, with all who may answer it. */
export const approvalEntity = ({ org, project, id, owner, approvers, acr = 1 }: ApprovalFacts): EntityJson => {
  const named = (kind: string): string[] => approvers.flatMap((name) => (name.startsWith(`${kind}:`) ? [name.slice(kind.length + 1)] : []));
  return inProject('Approval', { org, project }, id, {
    owner: ref('User', `${org}/${owner}`),
    acr,
    people: named('person').map((name) => ref('User', `${org}/${name}`)),
    groups: named('group').map((name) => ref('Group', `${org}/${name}`)),
    roles: named('role').map((name) => ref('Role', name)),
  });
};

/** What a decision's context says of a call that these people approved. */
export const approvedBy = (org: string, people: readonly string[]) => ({
  approvedCall: true,
  approvers: people.map((person) => ref('User', `${org}/${person}`)),
});

/** Whether what it is given leaves the house, or is kept where others find it, and how secret that may be. */
type SinkFacts = { sink?: boolean; maxSecrecy?: number };

export type ToolFacts = Tenancy &
  SinkFacts & {
    server: string;
    tool: string;
    toolset: string;
    isolation: number;
    readOnly: boolean;
    destructive: boolean;
    idempotent: boolean;
    openWorld: boolean;
    approvedHash: string;
    currentHash: string;
  };

/** What is the same of a tool, prompt, template or resource: where it stands. */
type Place = Tenancy & SinkFacts & { server: string; toolset: string; isolation: number };

const behindToolset = (
  type: 'Tool' | 'Prompt' | 'Template' | 'Resource' | 'Backend',
  { org, project, server, toolset, isolation, sink = false, maxSecrecy = 0 }: Place,
  name: string,
  attrs: EntityJson['attrs'],
  parents: TypeAndId[] = [],
): EntityJson[] => {
  const serverId = qualifiedName({ org, project }, server);
  return [
    {
      uid: uid(type, type === 'Backend' ? serverId : `${serverId}/${name}`),
      attrs: {
        org: ref('Org', org),
        project: ref('Project', `${org}/${project}`),
        server: ref('Server', serverId),
        ...(type === 'Backend' ? {} : { maxSecrecy }),
        ...attrs,
      },
      parents: [
        uid('Server', serverId),
        uid('Toolset', qualifiedName({ org, project }, toolset)),
        ...(sink && type !== 'Backend' ? [uid('Sink', 'any')] : []),
        ...parents,
      ],
    },
    inProject('Server', { org, project }, server, { isolation }),
    inProject('Toolset', { org, project }, toolset),
  ];
};

/** A tool as it stands behind one toolset, with its server. */
export const toolEntities = (facts: ToolFacts): EntityJson[] => {
  const { tool, readOnly, destructive, idempotent, openWorld, approvedHash, currentHash } = facts;
  return behindToolset('Tool', facts, tool, { hints: { readOnly, destructive, idempotent, openWorld }, approvedHash, currentHash });
};

/**
 * A server behind a toolset as what tokens are exchanged for. Its id is the server's.
 * @property scopes - all that a token for it may have
 * @property maxTtlSeconds - longest life of one
 */
export type BackendFacts = Place & { scopes: readonly string[]; maxTtlSeconds: number };

export const backendEntities = (facts: BackendFacts): EntityJson[] =>
  behindToolset('Backend', facts, facts.server, { maxTtl: facts.maxTtlSeconds, scopes: [...facts.scopes] });

export type FixFacts = Tenancy & {
  id: string;
  target: { name: string; critical: boolean; labels: readonly string[] };
  kind: string;
  source: 'rule' | 'model' | 'person';
  /** 0 to 100. */
  confidence: number;
  operations: readonly string[];
  traits: readonly string[];
  objects: number;
  percent: number;
  namespaces: readonly string[];
  kinds: readonly string[];
  /** How far it reaches, 0 to 5. */
  blast: number;
  reversible: boolean;
  planHash: string;
  /** People of the org who wrote a part of what it would do. */
  submitters: readonly string[];
  /** Id of the agent; its own entities belong to the request too, since its owner counts. */
  proposer: string;
};

/** A fix that was proposed, with what it is a fix of. */
export const fixEntities = ({ org, project, id, target, proposer, ...facts }: FixFacts): EntityJson[] => {
  const place = { org, project };
  const { name, critical, labels } = target;
  const attrs = {
    ...facts,
    operations: [...facts.operations],
    traits: [...facts.traits],
    namespaces: [...facts.namespaces],
    kinds: [...facts.kinds],
    submitters: facts.submitters.map((person) => ref('User', `${org}/${person}`)),
    target: ref('Target', qualifiedName(place, name)),
    proposer: ref('Agent', proposer),
  };
  return [
    inProject('Target', place, name, { critical, labels: [...labels] }),
    {
      ...inProject('Fix', place, id, attrs),
      parents: [uid('Target', qualifiedName(place, name))],
    },
  ];
};

type Pin = { approvedHash: string; currentHash: string };

export const promptEntities = (facts: Place & Pin & { prompt: string }): EntityJson[] =>
  behindToolset('Prompt', facts, facts.prompt, { approvedHash: facts.approvedHash, currentHash: facts.currentHash });

/** The scheme of a URI or URI template in lower case; empty where it has none. */
const schemeOf = (uri: string): string => /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase() ?? '';

export type TemplateFacts = Place & Pin & { uriTemplate: string };

export const templateEntities = (facts: TemplateFacts): EntityJson[] =>
  behindToolset('Template', facts, facts.uriTemplate, {
    uri: facts.uriTemplate,
    scheme: schemeOf(facts.uriTemplate),
    approvedHash: facts.approvedHash,
    currentHash: facts.currentHash,
  });

type Hints = Pick<ToolFacts, 'readOnly' | 'destructive' | 'idempotent' | 'openWorld'>;

/** What decisions about a pinned definition behind a toolset are about. */
export const definitionTarget = (
  place: Place,
  pinned: Pin & Hints & { kind: DefinitionKind; name: string },
): { resource: TypeAndId; entities: EntityJson[] } => {
  const id = `${qualifiedName(place, place.server)}/${pinned.name}`;
  switch (pinned.kind) {
    case 'tool':
      return { resource: uid('Tool', id), entities: toolEntities({ ...pinned, ...place, tool: pinned.name }) };
    case 'prompt':
      return { resource: uid('Prompt', id), entities: promptEntities({ ...pinned, ...place, prompt: pinned.name }) };
    case 'template':
      return { resource: uid('Template', id), entities: templateEntities({ ...pinned, ...place, uriTemplate: pinned.name }) };
  }
};

/** A resource, in the templates that lead to it. */
export const resourceEntities = (facts: Place & { uri: string; templates: readonly TemplateFacts[] }): EntityJson[] => {
  const within = facts.templates.map((template) => uid('Template', `${qualifiedName(template, template.server)}/${template.uriTemplate}`));
  return [
    ...behindToolset('Resource', facts, facts.uri, { uri: facts.uri, scheme: schemeOf(facts.uri) }, within),
    ...facts.templates.flatMap(templateEntities),
  ];
};
