/**
 * The rules of the platform, read as plain lines: no Cedar, no cache, no slices. Written from what the rules say and not from how the
 * engine does it, so that both are wrong about the same thing only by two mistakes. What a tenant may write is a small family of rules
 * (`TenantRule`); `test/support/reference-cases.ts` writes the same rules in Cedar.
 */
export type Place = { org: string; project: string };
export type AgentFacts = Place & {
  kind: 'agent';
  id: string;
  fleet: string;
  role: string;
  owner: string;
  quarantined: boolean;
  fleetPaused: boolean;
  assignedPaths: string[];
};
export type PersonFacts = { kind: 'person'; org: string; id: string; groups: string[]; roles: string[]; disabled: boolean };
export type Caller = AgentFacts | PersonFacts;

type Pinned = { approvedHash: string; currentHash: string };
/** What is given to a sink leaves the house; it may be no more secret than `maxSecrecy`. */
type BehindToolset = Place & { server: string; toolset: string; isolation: number; name: string; sink: boolean; maxSecrecy: number };
export type Thing =
  | (BehindToolset & Pinned & { kind: 'tool'; readOnly: boolean; openWorld: boolean })
  | (BehindToolset & Pinned & { kind: 'prompt' })
  | (BehindToolset & Pinned & { kind: 'template' })
  | (BehindToolset & { kind: 'resource'; template: string | null })
  | (Place & { kind: 'model'; name: string; maxSecrecy: number })
  | (Place & { kind: 'fleet'; name: string })
  | (Place & { kind: 'role'; name: string })
  | (BehindToolset & { kind: 'backend'; scopes: string[]; maxTtlSeconds: number })
  | (Place & { kind: 'declared'; name: string; submitters: string[] })
  | (Place & { kind: 'approval'; name: string; owner: string; approvers: string[]; acr: number })
  | (Place & { kind: 'fix'; name: string; owner: string; submitters: string[]; isAsPlanned: boolean; isNamed: boolean; isNever: boolean })
  | (Place & { kind: 'project' });

export type CallFacts = { paths: string[]; roots: string[]; urls: string[]; hosts: string[]; canonical: boolean; bytes: number };

export type ReferenceRequest = {
  caller: Caller;
  action: string;
  thing: Thing;
  /** Of the project that the thing is in. */
  frozen: boolean;
  environment: string;
  run: string;
  facts: CallFacts;
  maxTokens: number;
  /** What the caller has read so far. */
  carries: { secrecy: number; tainted: boolean };
  /** Whether people approved this very call. */
  approved: boolean;
  /** Whether it is an installation of one person, who has nobody else to ask. */
  isAlone: boolean;
  /** Seconds since whoever decides logged in. */
  authAge: number;
  /** By how many things whoever decides has shown who they are. */
  acr: number;
  verdict: 'approve' | 'deny';
  /** What a token is asked for: its scopes, its life in seconds, and how often it was handed on. */
  token: { scopes: string[]; ttl: number; depth: number };
};

export type Subject = { group: string } | { person: string } | { agentRole: string };
export type Binding = { subjects: Subject[]; toolsets: string[]; models: string[]; agentRoles: string[]; fleets: string[] };

/** What a tenant's rule looks at. */
export type Condition =
  | { look: 'root-in'; roots: string[] }
  | { look: 'has-path'; path: string }
  | { look: 'own-paths' }
  | { look: 'host-in'; hosts: string[] }
  | { look: 'bytes-over'; bytes: number }
  | { look: 'run-is'; run: string }
  | { look: 'isolation-over'; tier: number }
  | { look: 'owner-is'; person: string }
  | { look: 'environment-is'; environment: string }
  | { look: 'read-only' }
  | { look: 'open-world' };

/**
 * A rule of a tenant. `asks`: a forbid that an approved call gets past, or a permit of approved calls alone.
 * It is about agents (of one role, where that is given), one action, and things (behind one toolset, where that is given).
 */
export type TenantRule = {
  effect: 'permit' | 'forbid';
  action: 'callTool' | 'listTool' | 'getPrompt';
  role: string | null;
  toolset: string | null;
  when: Condition[];
  unless: Condition[];
  asks: boolean;
};

export type Rules = { bindings: Binding[]; tenant: TenantRule[] };
export type Verdict = { effect: 'allow' | 'deny' | 'needsPerson'; why: string };

const lists = ['listTool', 'listPrompt', 'listResource', 'listModel'];
const calls = ['callTool', 'getPrompt', 'readResource', 'invokeModel', 'exchange'];
const administers = [
  'applyResource',
  'deleteResource',
  'manageRun',
  'releaseLabel',
  'approveServer',
  'loosenGuards',
  'halt',
  'liftHalt',
  'steerTarget',
  'thawTarget',
];
const observes = ['getResource', 'readAudit'];
const answers = ['approve', 'seeApproval'];

/** Which actions there are for which things, and for whom. */
export const actionsOn: Record<Thing['kind'], string[]> = {
  tool: ['listTool', 'callTool'],
  prompt: ['listPrompt', 'getPrompt'],
  template: ['listResource', 'readResource'],
  resource: ['listResource', 'readResource'],
  model: ['listModel', 'invokeModel'],
  fleet: ['launchFleet'],
  role: ['useRole'],
  backend: ['exchange'],
  declared: [...administers, ...observes],
  approval: answers,
  fix: ['approveFix'],
  project: [...administers, ...observes],
};
export const isForPeopleAlone = (action: string): boolean => ![...lists, ...calls].includes(action);

/** Guard: nobody reaches a thing of another organisation, and an agent none of another project. */
const isElsewhere = (caller: Caller, thing: Thing): string | undefined => {
  if (caller.org !== thing.org) return 'another organisation';
  if (caller.kind === 'agent' && caller.project !== thing.project) return 'another project';
  return undefined;
};

/** Guard: what has a definition is used only as it was approved. A resource has none; a template that is read as such has. */
const isNotAsApproved = (thing: Thing): boolean => {
  if (thing.kind !== 'tool' && thing.kind !== 'prompt' && thing.kind !== 'template') return false;
  return thing.approvedHash === '' || thing.approvedHash !== thing.currentHash;
};

/** Guard: an agent in quarantine or of a paused fleet, and a person who is disabled, do nothing at all. */
const isStopped = (caller: Caller): boolean => (caller.kind === 'agent' ? caller.quarantined || caller.fleetPaused : caller.disabled);

/** Guard: in a frozen project nothing is called, read or started; lists and the work of administrators go on. */
const isFrozen = (action: string, frozen: boolean): boolean => frozen && [...calls, 'launchFleet'].includes(action);

/** Guard: an argument that a server could read in another way than a policy did is refused. Models have no such arguments. */
const isTricky = (action: string, { canonical }: CallFacts): boolean =>
  ['callTool', 'getPrompt', 'readResource'].includes(action) && !canonical;

/** Guard: who may log in, and by what they answer, is for administrators alone to say. */
const isOthersIssuer = (caller: Caller, action: string, thing: Thing): boolean =>
  thing.kind === 'declared' &&
  ['applyResource', 'deleteResource'].includes(action) &&
  ['Channel', 'IdentityProvider', 'OAuthClient', 'Person', 'SigningKey'].some((kind) => thing.name.startsWith(`${kind}/`)) &&
  !(caller.kind === 'person' && caller.roles.includes('administrator'));

/** Guard: what guards others is loosened by administrators alone. */
const isOthersGuard = (caller: Caller, action: string): boolean =>
  action === 'loosenGuards' && !(caller.kind === 'person' && caller.roles.includes('administrator'));

/** Whether somebody is one of those whom an approval is asked of; people and groups are those of its organisation, roles of any. */
const isAsked = (caller: Caller, thing: Thing): boolean =>
  caller.kind === 'person' &&
  thing.kind === 'approval' &&
  thing.approvers.some((approver) => {
    const [kind, name = ''] = approver.split(':');
    if (kind === 'role') return caller.roles.includes(name);
    return caller.org === thing.org && (kind === 'group' ? caller.groups.includes(name) : caller.id === name);
  });

const isOwner = (caller: Caller, thing: Thing): boolean =>
  caller.kind === 'person' && thing.kind === 'approval' && caller.org === thing.org && caller.id === thing.owner;

/** Guard: a fix is approved as it was planned, by one who is asked and had no hand in it, and not at all where it is never made. */
const isNotTheirsToApprove = (caller: Caller, thing: Thing, isAlone: boolean): boolean => {
  if (thing.kind !== 'fix') return false;
  if (thing.isNever || !thing.isAsPlanned) return true;
  if (isAlone || caller.kind !== 'person') return false;
  return !thing.isNamed || (caller.org === thing.org && [thing.owner, ...thing.submitters].includes(caller.id));
};

/** Guard: definitions are not accepted by who declared their server. */
const isSubmitter = (caller: Caller, thing: Thing): boolean =>
  caller.kind === 'person' && thing.kind === 'declared' && caller.org === thing.org && thing.submitters.includes(caller.id);

/** Guard: a token for a backend is no wider, longer and further away than the backend allows. */
const isTooMuch = (thing: Thing, { scopes, ttl, depth }: ReferenceRequest['token']): boolean =>
  thing.kind === 'backend' && !(scopes.every((scope) => thing.scopes.includes(scope)) && ttl <= thing.maxTtlSeconds && depth <= 3);

/** Guard: what diagnoses for the reconciler uses tools that only read. */
const isWriteOfDiagnosis = (caller: Caller, thing: Thing): boolean =>
  caller.kind === 'agent' && caller.fleet === 'reconcile' && thing.kind === 'tool' && !thing.readOnly;

const freshSeconds = 300;

/** Guard: what was read goes into no sink that it is too secret for, nor, beside what strangers wrote, into any. */
const isClosed = ({ action, thing, carries }: ReferenceRequest): boolean =>
  ['callTool', 'getPrompt', 'readResource'].includes(action) &&
  'sink' in thing &&
  thing.sink &&
  (carries.secrecy > thing.maxSecrecy || (carries.tainted && carries.secrecy > 0));

/** Guard: a model is told nothing that is too secret for it. */
const isTooSecret = ({ action, thing, carries }: ReferenceRequest): boolean =>
  action === 'invokeModel' && thing.kind === 'model' && carries.secrecy > thing.maxSecrecy;

const guardAgainst = (request: ReferenceRequest): string | undefined => {
  const { caller, action, thing, frozen, facts, isAlone, authAge, acr, verdict, token } = request;
  if (caller.kind === 'agent' && isForPeopleAlone(action)) return 'for people alone';
  const elsewhere = isElsewhere(caller, thing);
  if (elsewhere) return elsewhere;
  if (isNotAsApproved(thing)) return 'not as approved';
  if (isStopped(caller)) return 'stopped';
  if (isFrozen(action, frozen)) return 'frozen';
  if (isTricky(action, facts)) return 'not canonical';
  if (isTooSecret(request)) return 'too secret for the model';
  if (isClosed(request) && action !== 'callTool') return 'too secret to be told';
  if (isOthersIssuer(caller, action, thing)) return "an administrator's to say";
  if (isOthersGuard(caller, action)) return "an administrator's to loosen";
  if (action === 'loosenGuards' && !isAlone && authAge > freshSeconds) return 'a login of long ago';
  if (isWriteOfDiagnosis(caller, thing)) return 'a diagnosis only reads';
  if (isTooMuch(thing, token)) return 'more than the backend allows';
  if (action === 'approveFix' && authAge > freshSeconds) return 'a login of long ago';
  if (isNotTheirsToApprove(caller, thing, isAlone)) return 'not theirs to approve';
  if (action === 'approve' && verdict === 'approve' && authAge > freshSeconds) return 'a login of long ago';
  if (action === 'approve' && verdict === 'approve' && thing.kind === 'approval' && acr < thing.acr) return 'a login by too little';
  if (action === 'approveServer' && !isAlone) {
    if (authAge > freshSeconds) return 'a login of long ago';
    if (isSubmitter(caller, thing)) return 'their own server';
  }
  if (action === 'approve' && !isAlone) {
    if (isOwner(caller, thing)) return 'their own call';
    if (!isAsked(caller, thing)) return 'asked of others';
  }
  return undefined;
};

/** Permit: administrators may do all that no guard refuses; reviewers look, and approve servers; auditors read the audit. */
const isPermittedByRole = (caller: Caller, action: string): boolean => {
  if (caller.kind !== 'person') return false;
  if (caller.roles.includes('administrator')) return true;
  if (caller.roles.includes('auditor') && action === 'readAudit') return true;
  return (
    caller.roles.includes('reviewer') &&
    (observes.includes(action) || action === 'seeApproval' || ['approveServer', 'halt', 'steerTarget'].includes(action))
  );
};

/** Permit: those whom it is asked of answer an approval, and a fix, and see it; whose call it is sees it too. */
const isPermittedByApproval = (caller: Caller, action: string, thing: Thing): boolean =>
  (thing.kind === 'fix' && caller.kind === 'person' && thing.isNamed) ||
  (answers.includes(action) && (isAsked(caller, thing) || (action === 'seeApproval' && isOwner(caller, thing))));

/** Whether a binding of the policies' project names the caller. People are of the org, agent roles of the project. */
const names = (subject: Subject, caller: Caller, home: Place): boolean => {
  if (caller.org !== home.org) return false;
  if ('agentRole' in subject) return caller.kind === 'agent' && caller.project === home.project && caller.role === subject.agentRole;
  if (caller.kind !== 'person') return false;
  return 'person' in subject ? caller.id === subject.person : caller.groups.includes(subject.group);
};

const isIn = (thing: Place, home: Place): boolean => thing.org === home.org && thing.project === home.project;

/** Whether a binding grants the thing: a toolset all that stands behind it, the rest by name. */
const grants = (binding: Binding, action: string, thing: Thing, home: Place): boolean => {
  if (!isIn(thing, home)) return false;
  switch (thing.kind) {
    case 'tool':
    case 'prompt':
    case 'template':
    case 'resource':
    case 'backend':
      return binding.toolsets.includes(thing.toolset);
    case 'model':
      return binding.models.includes(thing.name);
    case 'fleet':
      return action === 'launchFleet' && binding.fleets.includes(thing.name);
    case 'role':
      return action === 'useRole' && binding.agentRoles.includes(thing.name);
    case 'declared':
    case 'approval':
    case 'fix':
    case 'project':
      return false;
  }
};

const isBound = (bindings: Binding[], { caller, action, thing }: ReferenceRequest, home: Place): boolean =>
  bindings.some((binding) => binding.subjects.some((subject) => names(subject, caller, home)) && grants(binding, action, thing, home));

/** Whether what a condition looks at is so. Lists have no arguments, so no condition on these is ever written for them. */
const isSo = (condition: Condition, { caller, thing, facts, run, environment }: ReferenceRequest): boolean => {
  switch (condition.look) {
    case 'root-in':
      return facts.roots.every((root) => condition.roots.includes(root));
    case 'has-path':
      return facts.paths.includes(condition.path);
    case 'own-paths':
      return caller.kind === 'agent' && facts.paths.every((path) => caller.assignedPaths.includes(path));
    case 'host-in':
      return facts.hosts.every((host) => condition.hosts.includes(host));
    case 'bytes-over':
      return facts.bytes > condition.bytes;
    case 'run-is':
      return run === condition.run;
    case 'isolation-over':
      return 'isolation' in thing && thing.isolation > condition.tier;
    case 'owner-is':
      // a rule names a person of the org that it is written in; a namesake elsewhere is somebody else
      return caller.kind === 'agent' && caller.org === 'default' && caller.owner === condition.person;
    case 'environment-is':
      return environment === condition.environment;
    case 'read-only':
      return thing.kind === 'tool' && thing.readOnly;
    case 'open-world':
      return thing.kind === 'tool' && thing.openWorld;
  }
};

/** A rule holds where it is about the request, all its `when` are so and none of its `unless`. */
const holds = (rule: TenantRule, request: ReferenceRequest, home: Place): boolean => {
  const { caller, action, thing } = request;
  if (rule.action !== action || caller.kind !== 'agent') return false;
  if (rule.asks && request.approved !== (rule.effect === 'permit')) return false;
  if (rule.role !== null && !(isIn(caller, home) && caller.role === rule.role)) return false;
  if (rule.toolset !== null && !('toolset' in thing && isIn(thing, home) && thing.toolset === rule.toolset)) return false;
  const isAll = (conditions: Condition[]): boolean => conditions.every((condition) => isSo(condition, request));
  return (rule.when.length === 0 || isAll(rule.when)) && (rule.unless.length === 0 || !isAll(rule.unless));
};

/** What the rules say of a request as it is, approved or not. */
const plainDecision = (request: ReferenceRequest, { bindings, tenant }: Rules, home: Place): Verdict & { isForGood?: boolean } => {
  const guard = guardAgainst(request);
  if (guard) return { effect: 'deny', why: guard, isForGood: true };
  const holding = tenant.filter((rule) => holds(rule, request, home));
  const forbids = holding.filter(({ effect }) => effect === 'forbid');
  if (forbids.length > 0) return { effect: 'deny', why: 'a rule of the tenant', isForGood: forbids.some(({ asks }) => !asks) };
  // this very call may be approved by a person
  if (isClosed(request) && !request.approved) return { effect: 'deny', why: 'a way out' };
  if (isPermittedByRole(request.caller, request.action)) return { effect: 'allow', why: 'a role of the platform' };
  if (isPermittedByApproval(request.caller, request.action, request.thing)) return { effect: 'allow', why: 'an approval' };
  if (isBound(bindings, request, home)) return { effect: 'allow', why: 'a binding' };
  if (holding.some(({ effect }) => effect === 'permit')) return { effect: 'allow', why: 'a rule of the tenant' };
  return { effect: 'deny', why: 'nothing permits it' };
};

/**
 * Decides a request by the rules of the thing's project: a guard or a forbid refuses, else a permit allows, else nothing does. A call that
 * would be allowed if people approved it, and that nothing refuses for good, needs a person.
 */
export const referenceDecision = (request: ReferenceRequest, rules: Rules, home: Place): Verdict => {
  const { effect, why, isForGood = false } = plainDecision(request, rules, home);
  if (effect !== 'deny' || isForGood || request.action !== 'callTool' || request.approved) return { effect, why };
  const approved = plainDecision({ ...request, approved: true }, rules, home);
  return approved.effect === 'allow' ? { effect: 'needsPerson', why: 'a rule of the tenant that asks' } : { effect, why };
};
