import type { Context } from '@cedar-policy/cedar-wasm/nodejs';
import { qualifiedName, reconcileFleet, type Tenancy } from '../schema/ids.ts';
import { approvalEntity, approvedBy, type FixFacts, fixEntities } from './approval-entities.ts';
import { agentEntities, personEntities, reconcilerEntities, reconcilerId } from './caller-entities.ts';
import { declaredEntity, entityUid, fleetEntity, modelEntity, projectEntities, roleEntity } from './entities.ts';
import type { Known, KnownRequest } from './known.ts';
import { noArguments } from './recorded-context.ts';
import { backendEntities, definitionTarget, resourceEntities } from './toolset-entities.ts';

/** Where the cases play; no name of theirs is one that people declare. */
export const home: Tenancy = { org: 'golden', project: 'golden' };
export const who = { hasHuman: true, run: 'run_golden' };
export const loggedIn = { ...who, authAge: 0, acr: 2 };

export const person = ({ org = home.org, id = 'ada', roles = [] as string[], groups = [] as string[], disabled = false } = {}): Known => ({
  uid: entityUid('User', `${org}/${id}`),
  entities: personEntities({ org, id, groups, roles, disabled }),
});

export const agent = ({ project = home.project, quarantined = false, paused = false, id = 'golden-agent', fleet = 'f' } = {}): Known => ({
  uid: entityUid('Agent', id),
  entities: [
    ...agentEntities({
      ...home,
      project,
      agentId: id,
      fleet,
      role: 'reader',
      owner: 'ada',
      quarantined,
      assignedPaths: [],
    }),
    ...(paused ? [{ ...fleetEntity({ ...home, project }, 'f'), attrs: { ...fleetEntity({ ...home, project }, 'f').attrs, paused } }] : []),
  ],
});

/** The agent that applies fixes; what it is, the platform says. */
export const reconciler = (): Known => ({
  uid: entityUid('Agent', reconcilerId(home, 'web')),
  entities: reconcilerEntities(home, 'web', 'ada'),
});
/** An agent that diagnoses. */
export const diagnoser = agent({ id: 'golden-diagnoser', fleet: reconcileFleet });

export const place = { ...home, server: 's', toolset: 't', isolation: 1 };
const hints = { readOnly: true, destructive: false, idempotent: true, openWorld: false };
export const definition = (
  kind: 'tool' | 'prompt' | 'template',
  currentHash = 'h',
  { approvedHash = 'h', ...sink }: { sink?: boolean; maxSecrecy?: number; approvedHash?: string } = {},
): Known => {
  const { resource, entities } = definitionTarget({ ...place, ...sink }, { kind, name: 'x:n', approvedHash, currentHash, ...hints });
  return { uid: resource, entities };
};
export const named = (type: string, entities: Known['entities'], name = 'n'): Known => ({
  uid: entityUid(type, qualifiedName(home, name)),
  entities,
});

/** A fix that an agent of Ada's proposed. */
export const fix = ({
  labels = [],
  critical = false,
  proposer = agent(),
  ...facts
}: Partial<Omit<FixFacts, 'proposer'>> & FixCase = {}): Known => ({
  uid: entityUid('Fix', qualifiedName(home, 'n')),
  entities: [
    ...fixEntities({
      ...home,
      ...{ id: 'n', kind: 'restart', source: 'model', confidence: 90, operations: ['restart'], traits: [] },
      ...{ objects: 1, percent: 10, namespaces: ['apps'], kinds: ['Deployment'], blast: 1, reversible: true, planHash: 'h' },
      submitters: [],
      ...facts,
      proposer: proposer.uid.id,
      target: { name: 'web', critical, labels },
    }),
    ...proposer.entities,
  ],
});
type FixCase = { labels?: string[]; critical?: boolean; proposer?: Known };

export const things = {
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
  /** A server that Ada declared. */
  ownServer: named('Declared', [declaredEntity(home, 'McpServer', 's', ['ada'])], 'McpServer/s'),
  backend: named('Backend', backendEntities({ ...place, scopes: ['read', 'write'], maxTtlSeconds: 120 }), 's'),
  fix: fix(),
  target: named('Declared', [declaredEntity(home, 'ReconcileTarget', 'n')], 'ReconcileTarget/n'),
  issuer: named('Declared', [declaredEntity(home, 'IdentityProvider', 'n')], 'IdentityProvider/n'),
  /** Calls that wait: Ada's own, of her; hers, of others; and another's, of engineers. */
  ownApproval: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'ada', approvers: ['person:ada'] })]),
  approvalForOwner: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'ada', approvers: ['group:engineers'] })]),
  askedOfStrongLogins: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'bea', approvers: ['group:engineers'], acr: 2 })]),
  askedOfEngineers: named('Approval', [approvalEntity({ ...home, id: 'n', owner: 'bea', approvers: ['group:engineers'] })]),
} satisfies Record<string, Known>;

/** What the context of each action has beside `who`, where all is as it should be. */
const usualContext: Readonly<Record<string, Context>> = {
  callTool: { arguments: noArguments },
  getPrompt: { arguments: noArguments },
  readResource: { arguments: noArguments },
  invokeModel: { maxTokens: 1 },
  exchange: { scopes: ['read'], ttl: 120, depth: 3 },
  approve: { who: loggedIn, verdict: 'approve', mayApproveOwn: false },
  approveServer: { who: loggedIn, mayApproveOwn: false },
  loosenGuards: { who: loggedIn, mayApproveOwn: false },
  approveFix: { who: loggedIn, planHash: 'h', named: true, mayApproveOwn: false },
  applyFix: {
    ...{ planHash: 'h', stateHashFresh: true, dryRunOk: true, inWindow: true, recentFixes: 0 },
    approvers: [],
    approvedCall: false,
    mayApproveOwn: false,
  },
};

export const ask = (
  principal: Known,
  action: string,
  resource: Known,
  { frozen = false, ...more }: { frozen?: boolean } & Context = {},
): KnownRequest => ({
  principal,
  action,
  resource,
  surroundings: {
    uid: entityUid('Project', `${home.org}/${home.project}`),
    entities: projectEntities({ ...home, environment: 'production', frozen }),
  },
  context: { who, ...usualContext[action], ...more },
});

export const reviewer = person({ roles: ['reviewer'] });
export const engineer = person({ groups: ['engineers'] });
export const bea = person({ id: 'bea' });
export const approvedByBea = approvedBy(home.org, ['bea']);
