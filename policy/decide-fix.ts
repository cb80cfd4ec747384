import type { ApprovalNeed, ApprovalRule } from '../schema/approval.ts';
import type { Tenancy } from '../schema/ids.ts';
import { qualifiedName } from '../schema/ids.ts';
import type { BlastRadius, Plan } from '../schema/reconcile/plan.ts';
import type { ReconcileTargetSpec } from '../schema/resources/reconcile-target.ts';
import { fixEntities } from './approval-entities.ts';
import { fitsRule } from './approval-rules.ts';
import { agentEntities, type PersonFacts, personEntities, reconcilerEntities, reconcilerId } from './caller-entities.ts';
import type { PolicyEngine } from './engine.ts';
import { entityUid, projectEntities } from './entities.ts';
import { boundsOf } from './fix-bounds.ts';
import { fixTraits } from './fix-traits.ts';
import type { KnownRequest } from './known.ts';
import { askingFixRules } from './platform-policies.ts';
import type { PolicyDecision } from './policy-decision.ts';

/** Who proposed a fix, as policies know it: the agent of its diagnosis, or what stands for a target's rules. */
export type FixProposer = { agentId: string; fleet: string; role: string; owner: string };

/**
 * All that is known of a fix when it is decided about.
 * @property planDigest - of the plan's canonical JSON: what is decided about, approved and applied
 * @property target.owner - the person who declared the target as it is now
 * @property submitters - everybody who wrote a part of what the fix would do: none of them approves it
 * @property mustAsk - the checker found something that people have to look at
 * @property isKindPaused - a fix of its kind made things worse on this target lately, and was taken back (`pausedKinds`)
 * @property approval - people who approved a digest, as they are now; absent where nobody was asked
 */
export type FixToDecide = {
  fixId: string;
  target: Tenancy & { name: string; owner: string; spec: ReconcileTargetSpec };
  project: { environment: string; frozen: boolean };
  plan: Plan;
  planDigest: string;
  blast: BlastRadius;
  proposer: FixProposer;
  submitters: readonly string[];
  mustAsk: boolean;
  dryRunOk: boolean;
  inWindow: boolean;
  stateHashFresh: boolean;
  /** Fixes of this target in the last hour, by rules and by plans. */
  recentFixes: number;
  isKindPaused: boolean;
  approval?: { planDigest: string; people: readonly Omit<PersonFacts, 'org'>[] };
  mayApproveOwn: boolean;
};

/** `refuse`: `rule` is the first policy that refused, empty where none permits; nobody is asked about it. */
export type FixDecision = ({ kind: 'apply' } | { kind: 'ask'; need: ApprovalNeed } | { kind: 'refuse'; rule: string; advice: string }) & {
  decision: PolicyDecision;
  asked: KnownRequest;
};

const surely = 100;

const fixFacts = ({ fixId, target, plan, planDigest, blast, proposer, submitters, mustAsk, isKindPaused }: FixToDecide) => {
  const { source, steps } = plan;
  const operations = steps.map(({ operation }) => operation);
  const traits = new Set(fixTraits(boundsOf(target.spec), source.kind, operations));
  if (mustAsk) traits.add('attended');
  if (isKindPaused) traits.add('paused-kind');
  const { critical, allow } = target.spec;
  return {
    org: target.org,
    project: target.project,
    id: fixId,
    target: { name: target.name, critical, labels: allow },
    kind: plan.faultKind,
    source: source.kind,
    confidence: source.kind === 'model' ? Math.floor(source.confidence * surely) : surely,
    operations: [...new Set(operations.map(({ op }) => op))],
    traits: [...traits].sort(),
    objects: blast.objects,
    percent: Math.ceil(blast.percent),
    namespaces: blast.namespaces,
    kinds: blast.kinds,
    blast: blast.score,
    reversible: blast.isReversible && steps.every(({ undo }) => undo.kind !== 'irreversible'),
    planHash: planDigest,
    submitters,
    proposer: proposer.agentId,
  };
};

/** A fix as the resource that a decision is about: with who proposed it, whose owner counts, and those who approved it. */
export const fixResource = (fix: FixToDecide): KnownRequest['resource'] => {
  const { target, proposer, approval, fixId } = fix;
  const place = { org: target.org, project: target.project };
  return {
    uid: entityUid('Fix', qualifiedName(place, fixId)),
    entities: [
      ...fixEntities(fixFacts(fix)),
      ...agentEntities({ ...place, ...proposer, quarantined: false, assignedPaths: [] }),
      ...(approval?.people ?? []).flatMap((person) => personEntities({ ...person, org: place.org })),
    ],
  };
};

/** A fix as a request to Cedar: whether the reconciler may apply it. */
export const fixRequest = (fix: FixToDecide): KnownRequest => {
  const { target, project, planDigest, approval } = fix;
  const place = { org: target.org, project: target.project };
  const people = approval?.people ?? [];
  return {
    principal: {
      uid: entityUid('Agent', reconcilerId(place, target.name)),
      entities: reconcilerEntities(place, target.name, target.owner),
    },
    action: 'applyFix',
    resource: fixResource(fix),
    surroundings: { uid: entityUid('Project', `${place.org}/${place.project}`), entities: projectEntities({ ...place, ...project }) },
    context: {
      who: { hasHuman: people.length > 0, run: '' },
      planHash: approval?.planDigest ?? planDigest,
      stateHashFresh: fix.stateHashFresh,
      dryRunOk: fix.dryRunOk,
      inWindow: fix.inWindow,
      recentFixes: fix.recentFixes,
      approvers: people.map(({ id }) => ({ __entity: entityUid('User', `${place.org}/${id}`) })),
      approvedCall: false,
      mayApproveOwn: fix.mayApproveOwn,
    },
  };
};

const isPlatforms = ({ policy }: ApprovalRule): boolean => policy.startsWith('platform/');

/**
 * What the platform's rules ask for, asked of those whom the target names: never fewer people than either says. Rules of a project's own
 * PolicySets stay as they are. Where there is one person alone, one is enough.
 */
const needFor = ({ rules, expiresInSeconds, reason }: ApprovalNeed, { target, mayApproveOwn }: FixToDecide): ApprovalNeed => {
  const { approval } = target.spec;
  const platform = rules.filter(isPlatforms);
  const count = Math.max(approval.count, ...platform.map((rule) => rule.count));
  const [strictest] = platform.toSorted((one, other) => other.count - one.count);
  const acr = Math.max(approval.acr ?? 1, ...platform.map((rule) => rule.acr ?? 1));
  const own = strictest
    ? [{ policy: strictest.policy, approvers: approval.approvers, count: mayApproveOwn ? 1 : count, ...(acr > 1 ? { acr } : {}) }]
    : [];
  return {
    rules: [...own, ...rules.filter((rule) => !isPlatforms(rule))],
    expiresInSeconds: rules.every(isPlatforms) ? approval.expiresInSeconds : Math.min(expiresInSeconds, approval.expiresInSeconds),
    reason,
  };
};

/** Whether the people who approved are, as they are now, whom each rule asks for: different ones, not shut out, and none who wrote
 * a part of it or owns who proposed it. */
const isMet = ({ rules }: ApprovalNeed, { approval, proposer, submitters, mayApproveOwn }: FixToDecide): boolean => {
  const able = [...new Map((approval?.people ?? []).map((person) => [person.id, person])).values()].filter(
    ({ id, disabled }) => !disabled && (mayApproveOwn || (id !== proposer.owner && !submitters.includes(id))),
  );
  return rules.every((rule) => able.filter((person) => fitsRule(rule, person)).length >= rule.count);
};

/**
 * Decides what becomes of a fix: it is applied, people are asked, or it is refused and nobody is asked. Asked again right before the apply
 * with the approval, it looks at the same rules anew: people who lost their role in between do not count any more.
 */
export const decideFix = (engine: Pick<PolicyEngine, 'decideKnown'>, fix: FixToDecide): FixDecision => {
  const { target, approval } = fix;
  const place = { org: target.org, project: target.project };
  const asked = fixRequest(fix);
  const refuse = (decision: PolicyDecision, request: KnownRequest): FixDecision => ({
    kind: 'refuse',
    // what no approval would satisfy says more than what one would
    rule: decision.policies.find((id) => !askingFixRules.has(id)) ?? decision.policies[0] ?? '',
    advice: decision.error ?? (decision.advice.join(' ') || 'No policy permits it.'),
    decision,
    asked: request,
  });
  const first = engine.decideKnown(place, asked);
  if (first.effect === 'allow') return { kind: 'apply', decision: first, asked };
  if (first.effect === 'deny' || !first.need) return refuse(first, asked);
  const need = needFor(first.need, fix);
  if (!approval || !isMet(need, fix)) return { kind: 'ask', need, decision: first, asked };
  const approved = { ...asked, context: { ...asked.context, approvedCall: true } };
  const second = engine.decideKnown(place, approved);
  return second.effect === 'allow' ? { kind: 'apply', decision: second, asked: approved } : refuse(second, approved);
};
