import { randomBytes } from 'node:crypto';
import { type ChosenRule, chooseRule, type UserRule } from '../reconcile/choose-rule.ts';
import { userRuleOf } from '../reconcile/rules/user-rule.ts';
import type { WhyEscalate } from '../reconcile/what-now-types.ts';
import { isPlatformError } from '../schema/errors.ts';
import { fixIdFrom } from '../schema/ids.ts';
import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { Database } from '../store/database.ts';
import { type FixPatch, openFix } from '../store/reconcile-fixes.ts';
import { listResources } from '../store/resources.ts';
import { askPeople } from './reconcile-close.ts';
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

/** Opens a fix with what it begins with, in one write: a worker that is killed before or after it leaves nothing half begun. */
const open = async (
  { database }: ReconcileCollaborators,
  { call: { fence, ...key }, drift: { fingerprint, faultKind } }: Fault,
  state: 'checking' | 'diagnosing',
  patch: FixPatch,
) => openFix(database, { ...key, id: fixIdFrom(randomBytes(10)), fingerprint, faultKind, state, ...patch }, fence);

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
  // kept with what was seen: whoever goes on after a kill asks no model either
  const kept = { drift, conflicts, why, ...seen, flagged: 0, ...authority, ...(refusal === undefined ? {} : { refusal }) };
  const seenDigest = await keepSeen(collaborators.contents, call, kept);
  const opened = await open(collaborators, fault, 'diagnosing', { seenDigest, message: `${why}: ${drift.faultKind}` });
  if (!opened) return ended;
  const { fix, isNew } = opened;
  if (!isNew) return resumed(fix);
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
  const source = { kind: 'rule', rule: chosen.rule } as const;
  const prepared = await preparePlan(collaborators.contents, {
    ...{ target, drift, operations: chosen.operations, source, evidenceDigest: '', ...seen },
  });
  const kept = { drift, conflicts, why: chosen.rule, ...seen, flagged: 0, owner: '', launchDecisionId: '' };
  const seenDigest = await keepSeen(collaborators.contents, call, kept);
  const begins: FixPatch = prepared.ok
    ? { ...prepared.patch, message: `rule ${chosen.rule}` }
    : { faults: prepared.faults, message: prepared.faults.map(({ message }) => message).join(' ') };
  const opened = await open(collaborators, fault, 'checking', { ...begins, seenDigest });
  if (!opened) return ended;
  const { fix, isNew } = opened;
  // without a plan the check ends it
  return isNew ? { next: 'check', fixId: fix.id, afterMs: 0 } : resumed(fix);
};
