/**
 * The vocabulary of every decision, in Cedar's schema language. Ids are `org/project/name`; attributes are always present,
 * because a policy that meets a missing attribute is skipped by Cedar, and a skipped forbid would let a call through.
 * Prompts, templates and resources are named like tools: `org/project/server/` and the server's own name, URI template or URI. A resource
 * that is read through a template is in that template; the `uri` of a template is its text.
 * `approvedCall` says that people approved this very call, and `approvers` who they were. The `owner` of an approval is the person who would
 * call, or on whose behalf an agent would; `mayApproveOwn` is true where an installation has one person.
 */
export const cedarSchema = `
namespace Quarterdeck {
  type Hints = { readOnly: Bool, destructive: Bool, idempotent: Bool, openWorld: Bool };
  type Who = { hasHuman: Bool, run: String };
  type Arguments = { paths: Set<String>, roots: Set<String>, urls: Set<String>, hosts: Set<String>, canonical: Bool, bytes: Long };

  entity Org;
  entity Project in [Org] { org: Org, environment: String, frozen: Bool };
  entity Group;
  entity Role;
  entity User in [Group, Role] { org: Org, disabled: Bool };
  entity AgentRole in [Project] { org: Org, project: Project };
  entity Fleet in [Project] { org: Org, project: Project, paused: Bool };
  entity Agent in [Fleet, AgentRole] { org: Org, project: Project, fleet: Fleet, owner: User, quarantined: Bool, assignedPaths: Set<String> };
  entity Server in [Project] { org: Org, project: Project, isolation: Long };
  entity Toolset in [Project] { org: Org, project: Project };
  entity Tool in [Server, Toolset] { org: Org, project: Project, server: Server, hints: Hints, approvedHash: String, currentHash: String };
  entity Prompt in [Server, Toolset] { org: Org, project: Project, server: Server, approvedHash: String, currentHash: String };
  entity Template in [Server, Toolset] { org: Org, project: Project, server: Server, uri: String, scheme: String, approvedHash: String, currentHash: String };
  entity Resource in [Template, Server, Toolset] { org: Org, project: Project, server: Server, uri: String, scheme: String };
  entity Model in [Project] { org: Org, project: Project, quality: String };
  entity Declared in [Project] { org: Org, project: Project, kind: String };
  entity Approval in [Project] { org: Org, project: Project, owner: User, people: Set<User>, groups: Set<Group>, roles: Set<Role> };

  action use, administer, observe;
  action listTool in [use] appliesTo { principal: [Agent, User], resource: [Tool], context: { who: Who } };
  action callTool in [use] appliesTo { principal: [Agent, User], resource: [Tool], context: { who: Who, arguments: Arguments, approvers: Set<User>, approvedCall: Bool } };
  action listPrompt in [use] appliesTo { principal: [Agent, User], resource: [Prompt], context: { who: Who } };
  action getPrompt in [use] appliesTo { principal: [Agent, User], resource: [Prompt], context: { who: Who, arguments: Arguments } };
  action listResource in [use] appliesTo { principal: [Agent, User], resource: [Resource, Template], context: { who: Who } };
  action readResource in [use] appliesTo { principal: [Agent, User], resource: [Resource, Template], context: { who: Who, arguments: Arguments } };
  action listModel in [use] appliesTo { principal: [Agent, User], resource: [Model], context: { who: Who } };
  action invokeModel in [use] appliesTo { principal: [Agent, User], resource: [Model], context: { who: Who, maxTokens: Long } };
  action launchFleet in [use] appliesTo { principal: [User], resource: [Fleet], context: { who: Who } };
  action useRole in [use] appliesTo { principal: [User], resource: [AgentRole], context: { who: Who } };
  action applyResource, deleteResource, manageRun, approveServer, erasePerson, halt, liftHalt in [administer] appliesTo { principal: [User], resource: [Declared, Project], context: { who: Who } };
  action approve in [administer] appliesTo { principal: [User], resource: [Approval], context: { who: Who, mayApproveOwn: Bool } };
  action seeApproval in [observe] appliesTo { principal: [User], resource: [Approval], context: { who: Who } };
  action getResource, readAudit in [observe] appliesTo { principal: [User], resource: [Declared, Project], context: { who: Who } };
}
`;
