import { neverTraits, unattendedOperations } from './fix-traits.ts';

/** Policies of the platform, by id. A tenant adds permits and forbids of its own, and cannot take one of these away. */
export const platformPolicies: Readonly<Record<string, string>> = {
  'platform/same-org-tool': `@advice("The tool belongs to another organisation.")
forbid (principal, action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], resource is Quarterdeck::Tool) unless { principal.org == resource.org };`,
  'platform/same-org-prompt': `@advice("The prompt belongs to another organisation.")
forbid (principal, action in [Quarterdeck::Action::"listPrompt", Quarterdeck::Action::"getPrompt"], resource) unless { principal.org == resource.org };`,
  'platform/same-org-resource': `@advice("The resource belongs to another organisation.")
forbid (principal, action in [Quarterdeck::Action::"listResource", Quarterdeck::Action::"readResource"], resource) unless { principal.org == resource.org };`,
  'platform/same-org-model': `@advice("The model belongs to another organisation.")
forbid (principal, action in [Quarterdeck::Action::"listModel", Quarterdeck::Action::"invokeModel"], resource is Quarterdeck::Model) unless { principal.org == resource.org };`,
  'platform/same-org-fleet': `@advice("The fleet belongs to another organisation.")
forbid (principal, action == Quarterdeck::Action::"launchFleet", resource) unless { principal.org == resource.org };`,
  'platform/same-org-role': `@advice("The agent role belongs to another organisation.")
forbid (principal, action == Quarterdeck::Action::"useRole", resource) unless { principal.org == resource.org };`,
  'platform/same-org-declared': `@advice("The resource belongs to another organisation.")
forbid (principal, action in [Quarterdeck::Action::"administer", Quarterdeck::Action::"observe"], resource) unless { principal.org == resource.org };`,
  'platform/same-project-tool': `@advice("An agent uses tools of its own project only.")
forbid (principal is Quarterdeck::Agent, action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], resource) unless { principal.project == resource.project };`,
  'platform/same-project-prompt': `@advice("An agent uses prompts of its own project only.")
forbid (principal is Quarterdeck::Agent, action in [Quarterdeck::Action::"listPrompt", Quarterdeck::Action::"getPrompt"], resource) unless { principal.project == resource.project };`,
  'platform/same-project-resource': `@advice("An agent uses resources of its own project only.")
forbid (principal is Quarterdeck::Agent, action in [Quarterdeck::Action::"listResource", Quarterdeck::Action::"readResource"], resource) unless { principal.project == resource.project };`,
  'platform/same-project-model': `@advice("An agent uses models of its own project only.")
forbid (principal is Quarterdeck::Agent, action in [Quarterdeck::Action::"listModel", Quarterdeck::Action::"invokeModel"], resource) unless { principal.project == resource.project };`,
  'platform/same-org-backend': `@advice("The backend belongs to another organisation.")
forbid (principal, action == Quarterdeck::Action::"exchange", resource) unless { principal.org == resource.org };`,
  'platform/same-project-backend': `@advice("An agent is given tokens for backends of its own project only.")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"exchange", resource) unless { principal.project == resource.project };`,
  'platform/same-project-fix': `@advice("An agent fixes what is of its own project only.")
forbid (principal, action in [Quarterdeck::Action::"proposeFix", Quarterdeck::Action::"applyFix"], resource) unless { principal.project == resource.project };`,
  'platform/administrators-name-issuers': `@advice("Who may log in, where and with which clients, is an administrator's to say, and by which channels people answer: an issuer can name anybody, and a channel takes its users for whom it says.")
forbid (principal, action in [Quarterdeck::Action::"applyResource", Quarterdeck::Action::"deleteResource"], resource is Quarterdeck::Declared)
when { ["Channel", "IdentityProvider", "OAuthClient", "Person", "SigningKey"].contains(resource.kind) } unless { principal in Quarterdeck::Role::"administrator" };`,
  'platform/administrators-loosen-guards': `@advice("Who approves what, and how long what was done stays on record, is an administrator's to loosen: whoever may declare a project or a target alone could otherwise take away whom they have to ask.")
forbid (principal, action == Quarterdeck::Action::"loosenGuards", resource) unless { principal in Quarterdeck::Role::"administrator" };`,
  'platform/fresh-login-loosen': `@advice("Loosening what guards others takes a login of the last five minutes: \`quarterdeck login --fresh\`, and then the same again.")
forbid (principal, action == Quarterdeck::Action::"loosenGuards", resource) when { !context.mayApproveOwn && context.who.authAge > 300 };`,
  'platform/pinned-definition': `@advice("The tool's definition is not the approved one; a person has to look at the change (\`quarterdeck server pins diff\`) and accept it.")
forbid (principal, action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], resource)
unless { resource.approvedHash != "" && resource.approvedHash == resource.currentHash };`,
  'platform/pinned-prompt': `@advice("The prompt's definition is not the approved one; a person has to look at the change (\`quarterdeck server pins diff\`).")
forbid (principal, action in [Quarterdeck::Action::"listPrompt", Quarterdeck::Action::"getPrompt"], resource)
unless { resource.approvedHash != "" && resource.approvedHash == resource.currentHash };`,
  'platform/pinned-template': `@advice("The resource template is not the approved one; a person has to look at the change (\`quarterdeck server pins diff\`).")
forbid (principal, action in [Quarterdeck::Action::"listResource", Quarterdeck::Action::"readResource"], resource is Quarterdeck::Template)
unless { resource.approvedHash != "" && resource.approvedHash == resource.currentHash };`,
  'platform/quarantined-agent': `@advice("The agent is quarantined, or its fleet is paused.")
forbid (principal is Quarterdeck::Agent, action, resource) when { principal.quarantined || principal.fleet.paused };`,
  'platform/disabled-person': `@advice("The person is disabled.")
forbid (principal is Quarterdeck::User, action, resource) when { principal.disabled };`,
  'platform/frozen-project-tool': `@advice("The project is frozen: nothing is called until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"callTool", resource) when { resource.project.frozen };`,
  'platform/frozen-project-prompt': `@advice("The project is frozen: nothing is called until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"getPrompt", resource) when { resource.project.frozen };`,
  'platform/frozen-project-resource': `@advice("The project is frozen: nothing is read until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"readResource", resource) when { resource.project.frozen };`,
  'platform/frozen-project-model': `@advice("The project is frozen: no model is asked until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"invokeModel", resource) when { resource.project.frozen };`,
  'platform/frozen-project-fleet': `@advice("The project is frozen: no fleet starts until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"launchFleet", resource) when { resource.project.frozen };`,
  'platform/frozen-project-backend': `@advice("The project is frozen: no token is exchanged until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"exchange", resource) when { resource.project.frozen };`,
  'platform/frozen-project-fix': `@advice("The project is frozen: nothing is changed until a person lifts that.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) when { resource.project.frozen };`,
  'platform/exchange-within-backend': `@advice("A token for a backend has scopes that the backend declares, lives no longer than it allows, and is handed on three times at most.")
forbid (principal, action == Quarterdeck::Action::"exchange", resource)
unless { resource.scopes.containsAll(context.scopes) && context.ttl <= resource.maxTtl && context.depth <= 3 };`,
  'platform/fix-as-planned': `@advice("A fix is applied by another than its proposer, as it was planned, to what the plan was made for.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource)
unless { context.planHash == resource.planHash && context.stateHashFresh && principal != resource.proposer };`,
  'platform/fix-traits': `@advice("Such a change is never made by the reconciler, whoever proposes it and whoever would approve it; a person makes it by hand, or declares it.")
forbid (principal, action in [Quarterdeck::Action::"proposeFix", Quarterdeck::Action::"applyFix"], resource)
when { resource.traits.containsAny([${neverTraits.map((trait) => JSON.stringify(trait)).join(', ')}]) };`,
  'platform/fix-dry-run': `@advice("The system itself refuses the change, as its dry-run shows; nobody is asked about what would fail.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) unless { context.dryRunOk };`,
  'platform/fix-window': `@advice("Nothing is changed outside the target's windows.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) unless { context.inWindow };`,
  'platform/fix-irreversible': `@advice("The change cannot be undone, and the target does not say \`allow: [irreversible-ok]\`.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) unless { resource.reversible || resource.target.labels.contains("irreversible-ok") };`,
  'platform/fix-owner': `@advice("Nobody approves a fix that an agent of their own proposed; somebody else has to.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) when { !context.mayApproveOwn && context.approvers.contains(resource.proposer.owner) };`,
  'platform/fix-submitters': `@advice("Nobody approves a fix that they wrote a part of: of its target, its rule, the role and model that proposed it, or an earlier plan; somebody else has to.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) when { !context.mayApproveOwn && context.approvers.containsAny(resource.submitters) };`,
  'platform/fix-attended': `@approve("role:reviewer, role:administrator") @expires("1h")
@advice("A fix of this kind is applied when a person has looked at it.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource)
when { resource.target.critical || !resource.reversible || resource.blast > 1 || context.recentFixes >= 5
  || resource.traits.contains("attended")
  || (resource.source != "rule" && !([${unattendedOperations.map((name) => JSON.stringify(name)).join(', ')}].containsAll(resource.operations)))
  || resource.source == "person"
  || (resource.source == "model" && resource.confidence < 80) }
unless { context.approvedCall };`,
  'platform/fix-paused-kind': `@approve("role:reviewer, role:administrator") @expires("1h")
@advice("A fix of this kind made things worse on this target lately and was taken back, so the kind is paused there: a person looks at it first.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource) when { resource.traits.contains("paused-kind") } unless { context.approvedCall };`,
  'platform/fix-four-eyes': `@approve("role:reviewer, role:administrator") @approvals("2") @expires("1h")
@advice("A fix that widens rights, moves data, changes policies, cannot be undone, or reaches far is applied when two people have looked at it.")
forbid (principal, action == Quarterdeck::Action::"applyFix", resource)
when { !resource.reversible || resource.blast >= 4 || resource.traits.contains("four-eyes") || (resource.source == "model" && resource.confidence < 40) }
unless { context.approvedCall };`,
  'platform/diagnosis-reads': `@advice("What diagnoses only reads: a tool that may change something is not there for it.")
forbid (principal in Quarterdeck::Role::"diagnoser", action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], resource)
unless { resource.hints.readOnly };`,
  'platform/canonical-arguments': `@advice("Write each path and URL in its plain form: absolute, without '..', '//', '%2e', backslashes or links that lead out of its folder.")
forbid (principal, action in [Quarterdeck::Action::"callTool", Quarterdeck::Action::"getPrompt", Quarterdeck::Action::"readResource"], resource) unless { context.arguments.canonical };`,
  'platform/sink-secrecy': `@approve("role:reviewer, role:administrator") @expires("1d")
@advice("What was read is more secret than this tool may be given: a person approves this very call, or releases what was read (\`quarterdeck run release\`).")
forbid (principal, action == Quarterdeck::Action::"callTool", resource in Quarterdeck::Sink::"any") when { context.flow.secrecy > resource.maxSecrecy } unless { context.approvedCall };`,
  'platform/sink-tainted': `@approve("role:reviewer, role:administrator") @expires("1d")
@advice("What strangers wrote was read beside what is secret, so it may be their order: a person approves this very call, or releases what was read (\`quarterdeck run release\`).")
forbid (principal, action == Quarterdeck::Action::"callTool", resource in Quarterdeck::Sink::"any") when { context.flow.tainted && context.flow.secrecy > 0 } unless { context.approvedCall };`,
  'platform/sink-read': `@advice("What was read may not be told to this server, not even by what it is asked for; a person can release it (\`quarterdeck run release\`).")
forbid (principal, action in [Quarterdeck::Action::"getPrompt", Quarterdeck::Action::"readResource"], resource in Quarterdeck::Sink::"any")
when { context.flow.secrecy > resource.maxSecrecy || (context.flow.tainted && context.flow.secrecy > 0) };`,
  'platform/model-secrecy': `@advice("What was read is more secret than this model may be told: use one with a higher \`maxSecrecy\`, or release what was read (\`quarterdeck run release\`).")
forbid (principal, action == Quarterdeck::Action::"invokeModel", resource) when { context.flow.secrecy > resource.maxSecrecy };`,
  'platform/approver-is-not-owner': `@advice("Nobody approves what is asked for them: a call of their own or of an agent that they launched, a fix of a target that they declared. One of the others who are named has to.")
forbid (principal, action == Quarterdeck::Action::"approve", resource) when { principal == resource.owner && !context.mayApproveOwn };`,
  'platform/named-approvers': `@advice("Whoever may approve this is named: \`quarterdeck approvals show\` says who; ask one of them.")
forbid (principal, action == Quarterdeck::Action::"approve", resource)
unless { context.mayApproveOwn || principal in resource.groups || principal in resource.roles || resource.people.contains(principal) };`,
  'platform/fresh-login': `@advice("Approving takes a login of the last five minutes: \`quarterdeck login --fresh\`, and then the same again.")
forbid (principal, action == Quarterdeck::Action::"approve", resource) when { context.verdict == "approve" && context.who.authAge > 300 };`,
  'platform/strong-login': `@advice("Approving this takes a login by two things: \`quarterdeck login --fresh --acr 2\`, and then the same again.")
forbid (principal, action == Quarterdeck::Action::"approve", resource) when { context.verdict == "approve" && context.who.acr < resource.acr };`,
  'platform/fresh-login-server': `@advice("Accepting definitions takes a login of the last five minutes: \`quarterdeck login --fresh\`, and then the same again.")
forbid (principal, action == Quarterdeck::Action::"approveServer", resource) when { !context.mayApproveOwn && context.who.authAge > 300 };`,
  'platform/fresh-login-fix': `@advice("Approving takes a login of the last five minutes: \`quarterdeck login --fresh\`, and then the same again.")
forbid (principal, action == Quarterdeck::Action::"approveFix", resource) when { context.who.authAge > 300 };`,
  'platform/submitter-does-not-approve': `@advice("Nobody accepts the definitions of a server that they declared; somebody else has to.")
forbid (principal, action == Quarterdeck::Action::"approveServer", resource is Quarterdeck::Declared)
when { resource.submitters.contains(principal) && !context.mayApproveOwn };`,
  'platform/fix-approver': `@advice("A fix is approved by a person, as it was planned, not by the owner of the agent that proposed it, and not at all where it is never made.")
forbid (principal, action == Quarterdeck::Action::"approveFix", resource)
when { !context.who.hasHuman || context.planHash != resource.planHash || !(context.named || context.mayApproveOwn) || (principal == resource.proposer.owner && !context.mayApproveOwn)
  || resource.traits.containsAny([${neverTraits.map((trait) => JSON.stringify(trait)).join(', ')}]) };`,
  'platform/submitter-approves-no-fix': `@advice("Nobody approves a fix that they wrote a part of: of its target, its rule, the role and model that proposed it, or an earlier plan; somebody else has to.")
forbid (principal, action == Quarterdeck::Action::"approveFix", resource) when { resource.submitters.contains(principal) && !context.mayApproveOwn };`,
  'platform/administrators': `permit (principal in Quarterdeck::Role::"administrator", action, resource);`,
  'platform/reviewers-observe': `permit (principal in Quarterdeck::Role::"reviewer", action in [Quarterdeck::Action::"observe"], resource);`,
  'platform/reviewers-approve-servers': `permit (principal in Quarterdeck::Role::"reviewer", action == Quarterdeck::Action::"approveServer", resource);`,
  'platform/reviewers-halt': `permit (principal in Quarterdeck::Role::"reviewer", action == Quarterdeck::Action::"halt", resource);`,
  'platform/reviewers-steer-targets': `permit (principal in Quarterdeck::Role::"reviewer", action == Quarterdeck::Action::"steerTarget", resource);`,
  'platform/fix-approvers': `permit (principal, action == Quarterdeck::Action::"approveFix", resource is Quarterdeck::Fix) when { context.named };`,
  'platform/auditors': `permit (principal in Quarterdeck::Role::"auditor", action == Quarterdeck::Action::"readAudit", resource);`,
  'platform/approvers': `permit (principal, action in [Quarterdeck::Action::"approve", Quarterdeck::Action::"seeApproval"], resource is Quarterdeck::Approval)
when { principal in resource.groups || principal in resource.roles || resource.people.contains(principal) };`,
  'platform/owners-see-approvals': `permit (principal, action == Quarterdeck::Action::"seeApproval", resource) when { principal == resource.owner };`,
  'platform/small-fixes': `permit (principal in Quarterdeck::Role::"reconciler", action == Quarterdeck::Action::"applyFix", resource)
when { resource.reversible && resource.blast <= 1 && !resource.target.critical && context.dryRunOk && context.inWindow && context.recentFixes < 5 };`,
  'platform/approved-fixes': `permit (principal in Quarterdeck::Role::"reconciler", action == Quarterdeck::Action::"applyFix", resource)
when { context.approvedCall && context.dryRunOk && context.inWindow };`,
  'platform/propose-fixes': `permit (principal in Quarterdeck::Role::"diagnoser", action == Quarterdeck::Action::"proposeFix", resource) when { principal == resource.proposer };`,
};

/** Rules that people's approval of a fix satisfies. */
export const askingFixRules: ReadonlySet<string> = new Set(['platform/fix-attended', 'platform/fix-paused-kind', 'platform/fix-four-eyes']);
/** Rules that a fresh login satisfies: a refusal by these alone is not for good. */
export const loginRules: ReadonlySet<string> = new Set([
  'platform/fresh-login',
  'platform/strong-login',
  'platform/fresh-login-server',
  'platform/fresh-login-fix',
  'platform/fresh-login-loosen',
]);
/** Seconds that a login is fresh for; the same number as in those rules. */
export const freshLoginSeconds = 300;

/** What an AccessBinding links, by what it grants. A toolset is granted as a whole: its tools, prompts and resources. */
export const bindingTemplates = {
  toolsets: `permit (principal in ?principal, action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool", Quarterdeck::Action::"listPrompt", Quarterdeck::Action::"getPrompt", Quarterdeck::Action::"listResource", Quarterdeck::Action::"readResource", Quarterdeck::Action::"exchange"], resource in ?resource);`,
  models: `permit (principal in ?principal, action in [Quarterdeck::Action::"listModel", Quarterdeck::Action::"invokeModel"], resource in ?resource);`,
  agentRoles: `permit (principal in ?principal, action == Quarterdeck::Action::"useRole", resource in ?resource);`,
  fleets: `permit (principal in ?principal, action == Quarterdeck::Action::"launchFleet", resource in ?resource);`,
} as const;

/** The entity type of what each list of a binding names. */
export const bindingTargets = { toolsets: 'Toolset', models: 'Model', agentRoles: 'AgentRole', fleets: 'Fleet' } as const;
