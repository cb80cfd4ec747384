import type { ApprovalNeed } from '../schema/approval.ts';
import type { AnnotatedRule } from './approval-rules.ts';
import type { PolicyDecision } from './policy-decision.ts';

/** All rules that apply to a call, as one: each is to be met, and the shortest time counts. */
const needOf = (rules: readonly AnnotatedRule[]): ApprovalNeed => ({
  rules: rules.map(({ policy, approvers, count, acr }) => ({ policy, approvers, count, ...(acr === undefined ? {} : { acr }) })),
  expiresInSeconds: Math.min(...rules.map(({ expiresInSeconds }) => expiresInSeconds)),
  reason: [...new Set(rules.map(({ reason }) => reason).filter((reason) => reason !== ''))].join(' '),
});

/**
 * A call that only policies with `@approve` refuse is asked about once more, as if it were approved: where that is an allow, a person is
 * needed. Whatever else refuses it, refuses it for good.
 * @param askApproved - decides about the same call as an approved one
 */
export const orNeedsPerson = (
  decision: PolicyDecision,
  rules: ReadonlyMap<string, AnnotatedRule>,
  askApproved: () => PolicyDecision,
): PolicyDecision => {
  if (decision.effect !== 'deny' || decision.error || !decision.policies.every((id) => rules.has(id))) return decision;
  const approved = askApproved();
  if (approved.effect !== 'allow') return approved;
  const applying = [...new Set([...decision.policies, ...approved.policies])].flatMap((id) => rules.get(id) ?? []);
  if (applying.length === 0) return decision;
  const { bundle } = decision;
  const policies = applying.map(({ policy }) => policy);
  return { effect: 'needsPerson', policies, advice: [], need: needOf(applying), ...(bundle ? { bundle } : {}) };
};
