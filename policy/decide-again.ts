import { type Context, isAuthorized, type PolicyJson, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyEffect } from '../schema/decision-basis.ts';
import type { Tenancy } from '../schema/ids.ts';
import { approvalRules, asApproved, canNeedPerson, withApproval } from './approval-rules.ts';
import { assemblePolicies, type PlatformPolicies, type ProjectPolicies } from './assemble-policies.ts';
import type { PolicyRequest } from './engine.ts';
import { forAnyArguments } from './for-any-arguments.ts';
import { orNeedsPerson } from './or-needs-person.ts';
import type { PolicyDecision } from './policy-decision.ts';
import { withFlow, withLogin } from './whole-context.ts';

/** As a request is recorded: who and on what, with all that was known of either. */
export type RecordedRequest = PolicyRequest;
export type DecidedAgain = { ok: true; effect: PolicyEffect; policies: string[]; error?: string } | { ok: false; reason: string };

const jsonOf = (text: string): PolicyJson => {
  const json = policyToJson(text);
  if (json.type === 'failure') throw new Error(json.errors[0]?.message);
  return json.json;
};

/** The context as the vocabulary of that time has it: a release that knew of no approvals, or labels, refuses what it has no word for. */
export const contextFor = ({ schema }: Pick<PlatformPolicies, 'schema'>, action: string, context: Context): Context =>
  [
    { word: 'approvedCall', add: withApproval },
    { word: 'flow: Flow', add: withFlow },
    // tokens for servers came to it later than the others
    { word: action === 'exchange' ? /action exchange .*login: Login/ : 'login: Login', add: withLogin },
  ].reduce((known, { word, add }) => (schema.search(word) === -1 ? known : add(action, known)), context);

/**
 * Makes one decision with Cedar alone, as it was or would be: with the policies, the vocabulary and the platform's own rules of that time,
 * nothing sliced and nothing remembered. Some 15 ms.
 */
export const decideAgain = (
  { tenancy, project, platform }: { tenancy: Tenancy; project: ProjectPolicies; platform: PlatformPolicies },
  { principal, action, resource, context, entities, forAnyArguments: isForAny }: RecordedRequest,
): DecidedAgain => {
  const assembled = assemblePolicies(tenancy, project, platform);
  if (!assembled.ok) return { ok: false, reason: assembled.issues[0]?.message ?? 'its policies are not valid' };
  const texts = assembled.set.staticPolicies as Record<string, string>;
  const staticPolicies = isForAny
    ? Object.fromEntries(Object.entries(texts).map(([id, text]) => [id, forAnyArguments(jsonOf(text))]))
    : texts;
  const ask = (within: Context): PolicyDecision => {
    const answer = isAuthorized({
      principal,
      action: { type: 'Quarterdeck::Action', id: action },
      resource,
      context: within,
      entities,
      policies: { ...assembled.set, staticPolicies },
      schema: platform.schema,
      validateRequest: true,
    });
    const advice: string[] = [];
    if (answer.type === 'failure')
      return { effect: 'deny', policies: [], advice, error: answer.errors.map(({ message }) => message).join('; ') };
    const { decision, diagnostics } = answer.response;
    const [failed] = diagnostics.errors;
    // Cedar skips a policy that cannot be evaluated, which would let a call through that a forbid was meant for
    return failed
      ? { effect: 'deny', policies: diagnostics.errors.map(({ policyId }) => policyId), advice, error: failed.error.message }
      : { effect: decision, policies: [...diagnostics.reason].sort(), advice };
  };
  const given = contextFor(platform, action, context);
  const first = ask(given);
  const rules = (): ReturnType<typeof approvalRules> =>
    approvalRules(new Map(Object.entries(texts).map(([id, text]) => [id, jsonOf(text)])));
  const { effect, policies, error } =
    first.effect === 'deny' && canNeedPerson({ action, context: given, forAnyArguments: isForAny ?? false })
      ? orNeedsPerson(first, rules(), () => ask(asApproved(given)))
      : first;
  return { ok: true, effect, policies, ...(error === undefined ? {} : { error }) };
};
