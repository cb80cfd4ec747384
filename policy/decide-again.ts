import { isAuthorized, type PolicyJson, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Tenancy } from '../schema/ids.ts';
import { assemblePolicies, type PlatformPolicies, type ProjectPolicies } from './assemble-policies.ts';
import type { PolicyRequest } from './engine.ts';
import { forAnyArguments } from './for-any-arguments.ts';

/** As a request is recorded: who and on what, with all that was known of either. */
export type RecordedRequest = PolicyRequest;
export type DecidedAgain = { ok: true; effect: 'allow' | 'deny'; policies: string[]; error?: string } | { ok: false; reason: string };

const closed = (text: string): PolicyJson => {
  const json = policyToJson(text);
  if (json.type === 'failure') throw new Error(json.errors[0]?.message);
  return forAnyArguments(json.json);
};

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
  const staticPolicies = isForAny ? Object.fromEntries(Object.entries(texts).map(([id, text]) => [id, closed(text)])) : texts;
  const answer = isAuthorized({
    principal,
    action: { type: 'Quarterdeck::Action', id: action },
    resource,
    context,
    entities,
    policies: { ...assembled.set, staticPolicies },
    schema: platform.schema,
    validateRequest: true,
  });
  if (answer.type === 'failure')
    return { ok: true, effect: 'deny', policies: [], error: answer.errors.map(({ message }) => message).join('; ') };
  const { decision, diagnostics } = answer.response;
  const [failed] = diagnostics.errors;
  // Cedar skips a policy that cannot be evaluated, which would let a call through that a forbid was meant for
  return failed
    ? { ok: true, effect: 'deny', policies: diagnostics.errors.map(({ policyId }) => policyId), error: failed.error.message }
    : { ok: true, effect: decision, policies: [...diagnostics.reason].sort() };
};
