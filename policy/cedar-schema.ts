/**
 * The vocabulary of every decision, in Cedar's schema language. Ids are `org/project/name`; attributes are always present,
 * because a policy that meets a missing attribute is skipped by Cedar, and a skipped forbid would let a call through.
 * Prompts, templates and resources are named like tools: `org/project/server/` and the server's own name, URI template or URI. A resource
 * that is read through a template is in that template; the `uri` of a template is its text.
 * `approvedCall` says that people approved this very call, and `approvers` who they were. The `owner` of an approval is the person who would
 * call, or on whose behalf an agent would; `mayApproveOwn` is true where an installation has one person. `authAge` are the seconds since
 * the login of whoever decides, and `acr` how well it proved who they are: 0 not at all, 1 by one thing, 2 by two or more; an approval's own
 * `acr` is how well it has to be.
 * A fix is what the reconciler would change: `kind` is the kind of its fault, `source` who proposed it (`rule`, `model`, `person`), `confidence`
 * how sure a model was, from 0 to 100 (100 of a rule and a person), `operations` the names of its operations, `traits` what stands out in
 * them (see `fix-traits.ts`), `blast` how far it reaches, from 0 to 5; `objects`, `percent`, `namespaces` and `kinds` are what it changes.
 * The `submitters` of a fix are who wrote a part of what it would do: its target, its rule or the agent role that proposed it, an earlier plan.
 * An agent that diagnoses is in `Role::"diagnoser"`, and what applies fixes in `Role::"reconciler"`.
 * Who changes a declaration so that fewer or others approve something, or less of what was done stays on record, does `loosenGuards` beside
 * `applyResource` or `deleteResource`.
 * A backend is what tokens are exchanged for: the server's own, behind one toolset. The `submitters` of a declared server are who wrote what
 * it is now.
 * `login` is how a person who calls has logged in: `age` are the seconds since, `level` how well, as `acr` above; of an agent, and of a token of the
 * installation, no login is known, which is as old as can be, at level 0. It decides nothing about lists.
 * `flow` is what the caller carries of all that it has read: `secrecy` 0 public … 3 restricted, `tainted` by what strangers wrote, and from
 * which servers. What is in `Sink::"any"` takes things out of the house, or to where others find them; it may be given what is no more
 * secret than its `maxSecrecy`.
 */
export const cedarSchema = `
namespace Quarterdeck {
  type Hints = { readOnly: Bool, destructive: Bool, idempotent: Bool, openWorld: Bool };
  type Who = { hasHuman: Bool, run: String };
  type Login = { age: Long, level: Long };
  type LoggedIn = { hasHuman: Bool, run: String, authAge: Long, acr: Long };
  type Arguments = { paths: Set<String>, roots: Set<String>, urls: Set<String>, hosts: Set<String>, canonical: Bool, bytes: Long };
  type Flow = { secrecy: Long, tainted: Bool, sources: Set<Server> };

  entity Org;
  entity Project in [Org] { org: Org, environment: String, frozen: Bool };
  entity Group;
  entity Role;
  entity User in [Group, Role] { org: Org, disabled: Bool };
  entity AgentRole in [Project] { org: Org, project: Project };
  entity Fleet in [Project] { org: Org, project: Project, paused: Bool };
  entity Agent in [Fleet, AgentRole, Role] { org: Org, project: Project, fleet: Fleet, owner: User, quarantined: Bool, assignedPaths: Set<String> };
  entity Sink;
  entity Server in [Project] { org: Org, project: Project, isolation: Long };
  entity Toolset in [Project] { org: Org, project: Project };
  entity Tool in [Server, Toolset, Sink] { org: Org, project: Project, server: Server, hints: Hints, approvedHash: String, currentHash: String, maxSecrecy: Long };
  entity Prompt in [Server, Toolset, Sink] { org: Org, project: Project, server: Server, approvedHash: String, currentHash: String, maxSecrecy: Long };
  entity Template in [Server, Toolset, Sink] { org: Org, project: Project, server: Server, uri: String, scheme: String, approvedHash: String, currentHash: String, maxSecrecy: Long };
  entity Resource in [Template, Server, Toolset, Sink] { org: Org, project: Project, server: Server, uri: String, scheme: String, maxSecrecy: Long };
  entity Model in [Project] { org: Org, project: Project, quality: String, maxSecrecy: Long };
  entity Backend in [Server, Toolset] { org: Org, project: Project, server: Server, maxTtl: Long, scopes: Set<String> };
  entity Declared in [Project] { org: Org, project: Project, kind: String, submitters: Set<User> };
  entity Approval in [Project] { org: Org, project: Project, owner: User, acr: Long, people: Set<User>, groups: Set<Group>, roles: Set<Role> };
  entity Target in [Project] { org: Org, project: Project, critical: Bool, labels: Set<String> };
  entity Fix in [Target] { org: Org, project: Project, target: Target, kind: String, source: String, confidence: Long, operations: Set<String>, traits: Set<String>, objects: Long, percent: Long, namespaces: Set<String>, kinds: Set<String>, blast: Long, reversible: Bool, planHash: String, proposer: Agent, submitters: Set<User> };

  action use, administer, observe;
  action listTool in [use] appliesTo { principal: [Agent, User], resource: [Tool], context: { who: Who } };
  action callTool in [use] appliesTo { principal: [Agent, User], resource: [Tool], context: { who: Who, login: Login, flow: Flow, arguments: Arguments, approvers: Set<User>, approvedCall: Bool } };
  action listPrompt in [use] appliesTo { principal: [Agent, User], resource: [Prompt], context: { who: Who } };
  action getPrompt in [use] appliesTo { principal: [Agent, User], resource: [Prompt], context: { who: Who, login: Login, flow: Flow, arguments: Arguments } };
  action listResource in [use] appliesTo { principal: [Agent, User], resource: [Resource, Template], context: { who: Who } };
  action readResource in [use] appliesTo { principal: [Agent, User], resource: [Resource, Template], context: { who: Who, login: Login, flow: Flow, arguments: Arguments } };
  action listModel in [use] appliesTo { principal: [Agent, User], resource: [Model], context: { who: Who } };
  action invokeModel in [use] appliesTo { principal: [Agent, User], resource: [Model], context: { who: Who, login: Login, flow: Flow, maxTokens: Long } };
  action exchange in [use] appliesTo { principal: [Agent, User], resource: [Backend], context: { who: Who, login: Login, scopes: Set<String>, ttl: Long, depth: Long } };
  action launchFleet in [use] appliesTo { principal: [User], resource: [Fleet], context: { who: Who } };
  action useRole in [use] appliesTo { principal: [User], resource: [AgentRole], context: { who: Who } };
  action applyResource, deleteResource, manageRun, releaseLabel, erasePerson, halt, liftHalt, steerTarget, thawTarget in [administer] appliesTo { principal: [User], resource: [Declared, Project], context: { who: Who } };
  action approveServer in [administer] appliesTo { principal: [User], resource: [Declared, Project], context: { who: LoggedIn, mayApproveOwn: Bool } };
  action loosenGuards in [administer] appliesTo { principal: [User], resource: [Declared, Project], context: { who: LoggedIn, mayApproveOwn: Bool } };
  action approve in [administer] appliesTo { principal: [User], resource: [Approval], context: { who: LoggedIn, verdict: String, mayApproveOwn: Bool } };
  action approveFix in [administer] appliesTo { principal: [User], resource: [Fix], context: { who: LoggedIn, planHash: String, named: Bool, mayApproveOwn: Bool } };
  action proposeFix appliesTo { principal: [Agent], resource: [Fix], context: { who: Who } };
  action applyFix appliesTo { principal: [Agent], resource: [Fix], context: { who: Who, planHash: String, stateHashFresh: Bool, dryRunOk: Bool, inWindow: Bool, recentFixes: Long, approvers: Set<User>, approvedCall: Bool, mayApproveOwn: Bool } };
  action seeApproval in [observe] appliesTo { principal: [User], resource: [Approval], context: { who: Who } };
  action getResource, readAudit in [observe] appliesTo { principal: [User], resource: [Declared, Project], context: { who: Who } };
}
`;
