import { randomBytes } from 'node:crypto';
import { type ChosenRule, chooseRule, type UserRule } from '../reconcile/choose-rule.ts';
import { userRuleOf } from '../reconcile/rules/user-rule.ts';
import type { WhyEscalate } from '../reconcile/what-now-types.ts';
import { isPlatformError } from '../schema/errors.ts';
import { fixIdFrom } from '../schema/ids.ts';
import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { Database } from '../store/database.ts';
import { moveFix, openFix } from '../store/reconcile-fixes.ts';
import { listResources } from '../store/resources.ts';
import { askPeople, endFix } from './reconcile-close.ts';
import { ended, type LoadedTarget, type NextStep, type ReconcileCollaborators, resumed, type TargetCall } from './reconcile-context.ts';
import { preparePlan } from './reconcile-plan.ts';
import { keepSeen } from './reconcile-seen.ts';
import type { Seen } from './targets/see-target.ts';

/** One fault, with all that was seen of it. */
export type Fault = {
  call: TargetCall;
  loaded: LoadedTarget;
  seen: Seen;
  conflicts: Conflict[];
  fixes: readonly Fix[];
  drift: Drift;
};

const open = async (
  { database }: ReconcileCollaborators,
  { call: { fence, ...key }, drift: { fingerprint, faultKind } }: Fault,
  state: 'checking' | 'diagnosing',
) => openFix(database, { ...key, id: fixIdFrom(randomBytes(10)), fingerprint, faultKind, state }, fence);

/** The rules that people declared in the project of a target, by name. */
const rulesOf = async (database: Database, { org, project }: TargetCall): Promise<UserRule[]> => {
  const declared = await listResources(database, { org, project, kind: 'ReconcileRule' });
  return declared.map(({ metadata, spec }) => userRuleOf(metadata.name, spec));
};

/** A rule for a fault, or, with `why`, for what an escalation is about. */
const ruleFor = async ({ database }: ReconcileCollaborators, fault: Fault, why?: WhyEscalate): Promise<ChosenRule> => {
  const { call, loaded, seen, fixes, drift } = fault;
  const { target, now } = loaded;
  const asked = { target, drift, ...seen, rules: await rulesOf(database, call), fixes, now: now.getTime() };
  return chooseRule(why === undefined ? asked : { ...asked, why });
};

/** Has a fault diagnosed by the role of its target, on behalf of who declared it; where that cannot be, people are asked. */
export const openEscalation = async (collaborators: ReconcileCollaborators, fault: Fault, why: WhyEscalate): Promise<NextStep> => {
  const { call, loaded, seen, conflicts, drift } = fault;
  // some escalations have rules of their own: what those propose, people decide, and no model is asked
  const chosen = await ruleFor(collaborators, fault, why);
  if (chosen.ok) return beginWithRule(collaborators, fault, chosen);
  const opened = await open(collaborators, fault, 'diagnosing');
  if (!opened) return ended;
  const { fix, isNew } = opened;
  if (!isNew && (fix.state !== 'diagnosing' || fix.seenDigest !== '')) return resumed(fix);
  const role = why === 'was-held' ? undefined : loaded.target.spec.escalation.role;
  let authority = { owner: '', launchDecisionId: '' };
  let refusal =
    why === 'was-held' ? 'People held it until lately, and it is not as declared. Declare it as it is, or put it back by hand.' : undefined;
  if (role)
    try {
      authority = await collaborators.decider.authoriseDiagnosis(loaded.target, role);
    } catch (error) {
      if (!isPlatformError(error) || error.isRetryable) throw error;
      refusal = error.message;
    }
  const kept = { drift, conflicts, why, ...seen, flagged: 0, ...authority };
  const seenDigest = await keepSeen(collaborators.contents, call, kept);
  const { fence, ...key } = call;
  const message = `${why}: ${drift.faultKind}`;
  if (
    (await moveFix(collaborators.database, { ...key, id: fix.id }, ['diagnosing'], 'diagnosing', { seenDigest, message }, fence)) !==
    'moved'
  )
    return ended;
  if (refusal !== undefined) return askPeople(collaborators, call, loaded.target, fix, { message: refusal });
  return { next: 'diagnose', fixId: fix.id, afterMs: 0 };
};

/** Begins with a rule; where none fits, or its cap is reached, the fault is escalated. No model is asked here. */
export const openRuleFix = async (collaborators: ReconcileCollaborators, fault: Fault): Promise<NextStep> => {
  const chosen = await ruleFor(collaborators, fault);
  if (!chosen.ok) return openEscalation(collaborators, fault, chosen.reason === 'capped' ? 'rule-failed' : 'no-rule');
  return beginWithRule(collaborators, fault, chosen);
};

const beginWithRule = async (
  collaborators: ReconcileCollaborators,
  fault: Fault,
  chosen: Extract<ChosenRule, { ok: true }>,
): Promise<NextStep> => {
  const { call, loaded, seen, conflicts, drift } = fault;
  const { target } = loaded;
  const opened = await open(collaborators, fault, 'checking');
  if (!opened) return ended;
  const { fix, isNew } = opened;
  if (!isNew && fix.plan !== null) return resumed(fix);
  const source = { kind: 'rule', rule: chosen.rule } as const;
  const prepared = await preparePlan(collaborators.contents, {
    ...{ target, drift, operations: chosen.operations, source, evidenceDigest: '', ...seen },
  });
  if (!prepared.ok)
    return endFix(collaborators, call, fix, 'refused', {
      faults: prepared.faults,
      message: prepared.faults.map(({ message }) => message).join(' '),
    });
  const kept = { drift, conflicts, why: chosen.rule, ...seen, flagged: 0, owner: '', launchDecisionId: '' };
  const seenDigest = await keepSeen(collaborators.contents, call, kept);
  const { fence, ...key } = call;
  const patch = { ...prepared.patch, seenDigest, message: `rule ${chosen.rule}` };
  const moved = await moveFix(collaborators.database, { ...key, id: fix.id }, ['checking'], 'checking', patch, fence);
  return moved === 'moved' ? { next: 'check', fixId: fix.id, afterMs: 0 } : ended;
};
