import type { GoldenCase } from './golden.ts';
import { approvedByBea, ask, bea, diagnoser, engineer, fix, person, reconciler, things } from './golden-world.ts';
import type { KnownRequest } from './known.ts';

const allowed = (rule: string, name: string, asked: KnownRequest): GoldenCase => ({ rule, name, asked, expect: 'allow' });

/** What each permit of the platform, and each list of a binding, has to allow by itself. */
export const permitCases: readonly GoldenCase[] = [
  allowed('platform/administrators', 'an administrator', ask(person({ roles: ['administrator'] }), 'deleteResource', things.declared)),
  allowed('platform/reviewers-observe', 'a reviewer who looks', ask(person({ roles: ['reviewer'] }), 'readAudit', things.declared)),
  allowed(
    'platform/reviewers-approve-servers',
    'a reviewer who approves',
    ask(person({ roles: ['reviewer'] }), 'approveServer', things.declared),
  ),
  allowed(
    'platform/reviewers-steer-targets',
    'a reviewer who pauses a target',
    ask(person({ roles: ['reviewer'] }), 'steerTarget', things.declared),
  ),
  allowed('platform/fix-approvers', 'a fix, by one who is asked', ask(bea, 'approveFix', things.fix)),
  allowed('platform/reviewers-halt', 'a reviewer who pulls the brake', ask(person({ roles: ['reviewer'] }), 'halt', things.declared)),
  allowed(
    'platform/approvers',
    'an approval that is asked of one',
    ask(person({ groups: ['engineers'] }), 'approve', things.askedOfEngineers),
  ),
  allowed('platform/owners-see-approvals', 'a look at what waits for one', ask(person(), 'seeApproval', things.approvalForOwner)),
  allowed('platform/auditors', 'an auditor who reads the audit', ask(person({ roles: ['auditor'] }), 'readAudit', things.declared)),
  allowed('platform/small-fixes', 'a small fix that can be undone', ask(reconciler(), 'applyFix', things.fix)),
  allowed(
    'platform/approved-fixes',
    'a fix of a critical target that another person approved',
    ask(reconciler(), 'applyFix', fix({ critical: true, blast: 5 }), approvedByBea),
  ),
  allowed('platform/propose-fixes', 'a proposal of a diagnosis', ask(diagnoser, 'proposeFix', fix({ proposer: diagnoser }))),
  allowed('binding/b/group/engineers/toolsets/t', 'a bound toolset', ask(engineer, 'callTool', things.tool)),
  allowed('binding/b/group/engineers/models/n', 'a bound model', ask(engineer, 'invokeModel', things.model)),
  allowed('binding/b/group/engineers/agentRoles/n', 'a bound agent role', ask(engineer, 'useRole', things.role)),
  allowed('binding/b/group/engineers/fleets/n', 'a bound fleet', ask(engineer, 'launchFleet', things.fleet)),
];
