import { approvedBy } from './approval-entities.ts';
import { declaredEntity } from './entities.ts';
import { neverTraits } from './fix-traits.ts';
import type { GoldenCase } from './golden.ts';
import {
  agent,
  approvedByBea,
  ask,
  bea,
  definition,
  diagnoser,
  engineer,
  fix,
  home,
  loggedIn,
  named,
  person,
  place,
  reconciler,
  reviewer,
  things,
} from './golden-world.ts';
import type { Known, KnownRequest } from './known.ts';
import { noArguments } from './recorded-context.ts';
import { definitionTarget } from './toolset-entities.ts';

const carrying = (secrecy: number, tainted: boolean) => ({ flow: { secrecy, tainted, sources: [] } });
const narrowSink = definition('tool', 'h', { sink: true, maxSecrecy: 1 });
const wideSink = definition('tool', 'h', { sink: true, maxSecrecy: 3 });
const promptSink = definition('prompt', 'h', { sink: true });
const widePromptSink = definition('prompt', 'h', { sink: true, maxSecrecy: 3 });
const templateSink = definition('template', 'h', { sink: true });
const unclear = { arguments: { ...noArguments, canonical: false } };
/** Who may log in, and whose answers count. */
const issuersOfTrust = ['Channel', 'OAuthClient', 'Person', 'SigningKey'].map((kind) =>
  named('Declared', [declaredEntity(home, kind, 'n')], `${kind}/n`),
);
const foreigner = person({ org: 'elsewhere' });
const stale = { who: { ...loggedIn, authAge: 301 } };
const writingTool: Known = (() => {
  const { resource, entities } = definitionTarget(place, {
    ...{ kind: 'tool', name: 'x:w', approvedHash: 'h', currentHash: 'h' },
    ...{ readOnly: false, destructive: false, idempotent: true, openWorld: false },
  });
  return { uid: resource, entities };
})();
const neighbour = agent({ project: 'other', id: 'golden-neighbour' });
const frozen = { frozen: true };

const forGood = fix({ reversible: false, labels: ['irreversible-ok'] });

const refused = (rule: string, name: string, asked: KnownRequest): GoldenCase => ({
  rule: `platform/${rule}`,
  name,
  asked,
  expect: 'deny',
});

/** What each guard has to refuse, though everything is permitted. */
export const guardCases: readonly GoldenCase[] = [
  refused('same-org-tool', 'a tool of another organisation', ask(foreigner, 'callTool', things.tool)),
  refused('same-org-tool', 'a tool of another organisation, on a list', ask(foreigner, 'listTool', things.tool)),
  refused('same-org-prompt', 'a prompt of another organisation', ask(foreigner, 'getPrompt', things.prompt)),
  refused('same-org-prompt', 'a prompt of another organisation, on a list', ask(foreigner, 'listPrompt', things.prompt)),
  refused('same-org-resource', 'a resource of another organisation', ask(foreigner, 'readResource', things.resource)),
  refused('same-org-resource', 'a resource of another organisation, on a list', ask(foreigner, 'listResource', things.resource)),
  refused('same-org-model', 'a model of another organisation', ask(foreigner, 'invokeModel', things.model)),
  refused('same-org-model', 'a model of another organisation, on a list', ask(foreigner, 'listModel', things.model)),
  refused('same-org-fleet', 'a fleet of another organisation', ask(foreigner, 'launchFleet', things.fleet)),
  refused('same-org-role', 'an agent role of another organisation', ask(foreigner, 'useRole', things.role)),
  refused('same-org-declared', 'what another organisation declares', ask(foreigner, 'applyResource', things.declared)),
  refused('same-org-declared', 'a look at what another organisation declares', ask(foreigner, 'getResource', things.declared)),
  refused('same-project-tool', "an agent and another project's tool", ask(neighbour, 'callTool', things.tool)),
  refused('same-project-tool', "an agent and another project's tool, on a list", ask(neighbour, 'listTool', things.tool)),
  refused('same-project-prompt', "an agent and another project's prompt", ask(neighbour, 'getPrompt', things.prompt)),
  refused('same-project-prompt', "an agent and another project's prompt, on a list", ask(neighbour, 'listPrompt', things.prompt)),
  refused('same-project-resource', "an agent and another project's resource", ask(neighbour, 'readResource', things.resource)),
  refused('same-project-resource', "an agent and another project's resource, on a list", ask(neighbour, 'listResource', things.resource)),
  refused('same-project-model', "an agent and another project's model", ask(neighbour, 'invokeModel', things.model)),
  refused('same-project-model', "an agent and another project's model, on a list", ask(neighbour, 'listModel', things.model)),
  refused(
    'administrators-name-issuers',
    'an issuer, of anybody else',
    ask(person({ roles: ['reviewer'] }), 'applyResource', things.issuer),
  ),
  refused('administrators-name-issuers', 'an issuer that goes, by anybody else', ask(reviewer, 'deleteResource', things.issuer)),
  ...issuersOfTrust.map((declared) =>
    refused('administrators-name-issuers', `a ${declared.uid.id}, of anybody else`, ask(reviewer, 'applyResource', declared)),
  ),
  refused('administrators-loosen-guards', 'a looser guard, of anybody else', ask(bea, 'loosenGuards', things.target)),
  refused(
    'administrators-loosen-guards',
    'a looser guard, of a reviewer',
    ask(person({ roles: ['reviewer'] }), 'loosenGuards', things.target),
  ),
  refused(
    'fresh-login-loosen',
    'a looser guard, after a login of long ago',
    ask(person({ roles: ['administrator'] }), 'loosenGuards', things.target, stale),
  ),
  refused('approver-is-not-owner', "an approval of a call of one's own", ask(person(), 'approve', things.ownApproval)),
  refused('named-approvers', 'an approval that is asked of others', ask(person(), 'approve', things.askedOfEngineers)),
  refused('pinned-definition', 'a tool that is not as approved', ask(agent(), 'callTool', definition('tool', 'other'))),
  refused('pinned-definition', 'a tool that was never approved, on a list', ask(agent(), 'listTool', definition('tool', ''))),
  refused('pinned-definition', 'a tool of which nothing is known', ask(agent(), 'callTool', definition('tool', '', { approvedHash: '' }))),
  refused('pinned-prompt', 'a prompt that is not as approved', ask(agent(), 'getPrompt', definition('prompt', 'other'))),
  refused('pinned-prompt', 'a prompt that is not as approved, on a list', ask(agent(), 'listPrompt', definition('prompt', 'other'))),
  refused('pinned-prompt', 'a prompt of which nothing is known', ask(agent(), 'getPrompt', definition('prompt', '', { approvedHash: '' }))),
  refused('pinned-template', 'a template that is not as approved', ask(agent(), 'readResource', definition('template', 'other'))),
  refused(
    'pinned-template',
    'a template that is not as approved, on a list',
    ask(agent(), 'listResource', definition('template', 'other')),
  ),
  refused(
    'pinned-template',
    'a template of which nothing is known',
    ask(agent(), 'readResource', definition('template', '', { approvedHash: '' })),
  ),
  refused('quarantined-agent', 'an agent in quarantine', ask(agent({ quarantined: true }), 'callTool', things.tool)),
  refused('quarantined-agent', 'an agent of a paused fleet', ask(agent({ paused: true }), 'listTool', things.tool)),
  refused('disabled-person', 'a person who is disabled', ask(person({ disabled: true }), 'getResource', things.declared)),
  refused('frozen-project-tool', 'a call in a frozen project', ask(agent(), 'callTool', things.tool, frozen)),
  refused('frozen-project-prompt', 'a prompt in a frozen project', ask(agent(), 'getPrompt', things.prompt, frozen)),
  refused('frozen-project-resource', 'a read in a frozen project', ask(agent(), 'readResource', things.resource, frozen)),
  refused('frozen-project-model', 'a model in a frozen project', ask(agent(), 'invokeModel', things.model, frozen)),
  refused('frozen-project-fleet', 'a launch in a frozen project', ask(person(), 'launchFleet', things.fleet, frozen)),
  refused('sink-secrecy', 'a way out for what is too secret for it', ask(agent(), 'callTool', narrowSink, carrying(2, false))),
  refused('sink-tainted', 'a way out for a run that read secrets and strangers', ask(agent(), 'callTool', wideSink, carrying(1, true))),
  refused('sink-read', 'a prompt of a server that would hear secrets', ask(agent(), 'getPrompt', promptSink, carrying(1, false))),
  refused('sink-read', 'a prompt of a way out, after secrets and strangers', ask(agent(), 'getPrompt', widePromptSink, carrying(1, true))),
  refused('sink-read', 'a read at a server that would hear secrets', ask(agent(), 'readResource', templateSink, carrying(1, false))),
  refused('model-secrecy', 'a model that may not be told', ask(agent(), 'invokeModel', things.model, carrying(1, false))),
  refused('canonical-arguments', 'an argument that can be read in two ways', ask(agent(), 'callTool', things.tool, unclear)),
  refused('canonical-arguments', "a prompt's argument that can be read in two ways", ask(agent(), 'getPrompt', things.prompt, unclear)),
  refused('canonical-arguments', 'an address that can be read in two ways', ask(agent(), 'readResource', things.resource, unclear)),
  refused('same-org-backend', 'a backend of another organisation', ask(foreigner, 'exchange', things.backend)),
  refused('same-project-backend', "an agent and another project's backend", ask(neighbour, 'exchange', things.backend)),
  refused('same-project-fix', "an agent and another project's fix", ask(neighbour, 'proposeFix', things.fix)),
  refused('same-project-fix', "an agent that applies another project's fix", ask(neighbour, 'applyFix', things.fix)),
  refused('frozen-project-backend', 'a token in a frozen project', ask(agent(), 'exchange', things.backend, frozen)),
  refused('frozen-project-fix', 'a fix in a frozen project', ask(reconciler(), 'applyFix', things.fix, frozen)),
  refused(
    'exchange-within-backend',
    'a scope that the backend does not declare',
    ask(agent(), 'exchange', things.backend, { scopes: ['read', 'admin'] }),
  ),
  refused('exchange-within-backend', 'a token that lives too long', ask(agent(), 'exchange', things.backend, { ttl: 121 })),
  refused('exchange-within-backend', 'a token that is handed on too often', ask(agent(), 'exchange', things.backend, { depth: 4 })),
  refused('fix-as-planned', 'another plan than the one proposed', ask(reconciler(), 'applyFix', things.fix, { planHash: 'other' })),
  refused('fix-as-planned', 'a target that has moved', ask(reconciler(), 'applyFix', things.fix, { stateHashFresh: false })),
  refused('fix-as-planned', 'a fix by its proposer', ask(reconciler(), 'applyFix', fix({ proposer: reconciler() }))),
  ...neverTraits.flatMap((trait) => [
    refused('fix-traits', `a fix that is ${trait}`, ask(reconciler(), 'applyFix', fix({ traits: [trait] }), approvedByBea)),
    refused('fix-traits', `a proposal that is ${trait}`, ask(diagnoser, 'proposeFix', fix({ traits: [trait], proposer: diagnoser }))),
    refused('fix-approver', `an approval of what is ${trait}`, ask(bea, 'approveFix', fix({ traits: [trait] }))),
  ]),
  refused(
    'fix-dry-run',
    'a fix that its dry-run refused',
    ask(reconciler(), 'applyFix', things.fix, { ...approvedByBea, dryRunOk: false }),
  ),
  refused('fix-window', 'a fix outside of the windows', ask(reconciler(), 'applyFix', things.fix, { ...approvedByBea, inWindow: false })),
  refused('fix-irreversible', 'a fix that nothing undoes', ask(reconciler(), 'applyFix', fix({ reversible: false }), approvedByBea)),
  refused(
    'fix-owner',
    "a fix that the proposer's owner approved",
    ask(reconciler(), 'applyFix', things.fix, approvedBy(home.org, ['bea', 'ada'])),
  ),
  refused(
    'fix-submitters',
    'a fix that one approved who wrote a part of it',
    ask(reconciler(), 'applyFix', fix({ submitters: ['cyd', 'bea'] }), approvedByBea),
  ),
  refused('submitter-approves-no-fix', "a fix of what is one's own in part", ask(bea, 'approveFix', fix({ submitters: ['cyd', 'bea'] }))),
  refused(
    'fix-attended',
    'a plan that a person wrote, which nobody else looked at',
    ask(reconciler(), 'applyFix', fix({ source: 'person' })),
  ),
  refused('fix-attended', 'a fix of a critical target that nobody looked at', ask(reconciler(), 'applyFix', fix({ critical: true }))),
  refused('fix-attended', 'a fix of two objects that nobody looked at', ask(reconciler(), 'applyFix', fix({ blast: 2 }))),
  refused('fix-attended', 'a fix for good that nobody looked at', ask(reconciler(), 'applyFix', forGood)),
  refused('fix-attended', 'the sixth fix of an hour', ask(reconciler(), 'applyFix', things.fix, { recentFixes: 5 })),
  refused('fix-attended', 'a fix of a kind to be looked at', ask(reconciler(), 'applyFix', fix({ traits: ['attended'] }))),
  refused(
    'fix-attended',
    "a model's fix that leads nowhere declared",
    ask(reconciler(), 'applyFix', fix({ operations: ['restart', 'scale'] })),
  ),
  refused('fix-attended', 'a fix of a model that is not sure', ask(reconciler(), 'applyFix', fix({ confidence: 79 }))),
  refused('fix-paused-kind', 'a fix of a kind that made it worse', ask(reconciler(), 'applyFix', fix({ traits: ['paused-kind'] }))),
  refused('fix-four-eyes', 'a fix for two people that nobody looked at', ask(reconciler(), 'applyFix', fix({ traits: ['four-eyes'] }))),
  // one person is asked about these too; that it takes two, this rule alone says
  refused('fix-four-eyes', 'a fix for good', ask(reconciler(), 'applyFix', forGood)),
  refused('fix-four-eyes', 'a fix that reaches far', ask(reconciler(), 'applyFix', fix({ blast: 4 }))),
  refused('fix-four-eyes', 'a fix of a model that guesses', ask(reconciler(), 'applyFix', fix({ confidence: 39 }))),
  refused('diagnosis-reads', 'a tool that may write, for a diagnosis', ask(diagnoser, 'callTool', writingTool)),
  refused('diagnosis-reads', 'a tool that may write, on its list', ask(diagnoser, 'listTool', writingTool)),
  refused('fresh-login', 'an approval after a login of long ago', ask(engineer, 'approve', things.askedOfEngineers, stale)),
  refused(
    'strong-login',
    'an approval after a login by one thing',
    ask(engineer, 'approve', things.askedOfStrongLogins, { who: { ...loggedIn, acr: 1 } }),
  ),
  refused('fresh-login-server', 'definitions, after a login of long ago', ask(bea, 'approveServer', things.ownServer, stale)),
  refused('fresh-login-fix', 'a fix, after a login of long ago', ask(bea, 'approveFix', things.fix, stale)),
  refused('submitter-does-not-approve', "definitions of one's own server", ask(person(), 'approveServer', things.ownServer)),
  refused('fix-approver', "a fix of one's own agent", ask(person(), 'approveFix', things.fix)),
  refused('fix-approver', 'a fix, by one who is not asked', ask(bea, 'approveFix', things.fix, { named: false })),
  refused('fix-approver', 'a fix, by a machine', ask(bea, 'approveFix', things.fix, { who: { ...loggedIn, hasHuman: false } })),
  refused('fix-approver', 'a plan that was changed', ask(bea, 'approveFix', things.fix, { planHash: 'other' })),
];
