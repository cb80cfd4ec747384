import {
  type PolicySet as CedarPolicySet,
  type Context,
  type PolicyJson,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { PolicyEffect } from '../schema/decision-basis.ts';
import { approvalRules, asApproved, canNeedPerson } from './approval-rules.ts';
import type { KnownRequest } from './known.ts';
import { orNeedsPerson } from './or-needs-person.ts';
import type { PolicyDecision } from './policy-decision.ts';
import { entityMap } from './slice-entities.ts';
import { wholeContext } from './whole-context.ts';

/** A request with the decision that policies have to make about it. */
export type GoldenCase = {
  name: string;
  asked: Omit<KnownRequest, 'forAnyArguments'>;
  expect: PolicyEffect;
  /** The one policy that has to decide it. */
  rule?: string;
};
export type GoldenFailure = { name: string; expect: PolicyEffect; found: PolicyEffect; policies: string[]; error?: string };

const name = 'golden';

/** The policies of a set that are not templates, by id. */
const policiesOf = ({ staticPolicies }: CedarPolicySet): ReadonlyMap<string, PolicyJson> =>
  new Map(
    Object.entries(staticPolicies as Record<string, string>).map(([id, text]) => {
      const json = policyToJson(text);
      if (json.type === 'failure') throw new Error(`a policy that was assembled does not parse: ${json.errors[0]?.message}`);
      return [id, json.json];
    }),
  );

/**
 * Asks Cedar each case, with nothing sliced and nothing remembered.
 * @param set - policies that were assembled, so they are valid under `schema`
 * @returns the cases that are decided otherwise
 */
export const failedGolden = (set: CedarPolicySet, schema: string, cases: readonly GoldenCase[]): GoldenFailure[] => {
  for (const parsed of [preparseSchema(name, schema), preparsePolicySet(name, set)])
    if (parsed.type === 'failure') throw new Error(`policies that were assembled do not parse: ${parsed.errors[0]?.message}`);
  const rules = approvalRules(policiesOf(set));
  return cases.flatMap(({ name: caseName, asked, expect, rule }): GoldenFailure[] => {
    const { principal, action, resource, surroundings } = asked;
    const ask = (context: Context): PolicyDecision => {
      const answer = statefulIsAuthorized({
        principal: principal.uid,
        action: { type: 'Quarterdeck::Action', id: action },
        resource: resource.uid,
        context: wholeContext(action, context),
        entities: [...entityMap(surroundings.entities, principal.entities, resource.entities).values()],
        preparsedSchemaName: name,
        preparsedPolicySetId: name,
        validateRequest: true,
      });
      // a case that cannot be asked proves nothing, whatever it expects
      if (answer.type === 'failure')
        return { effect: 'deny', policies: [], advice: [], error: answer.errors.map(({ message }) => message).join('; ') };
      const { decision, diagnostics } = answer.response;
      const [error] = diagnostics.errors;
      if (error) return { effect: 'deny', policies: [error.policyId], advice: [], error: error.error.message };
      return { effect: decision, policies: [...diagnostics.reason].sort(), advice: [] };
    };
    const first = ask(asked.context);
    // a rule that has to decide has to refuse, whether or not a person could allow it
    const decision = rule === undefined && canNeedPerson(asked) ? orNeedsPerson(first, rules, () => ask(asApproved(asked.context))) : first;
    const { effect: found, policies, error } = decision;
    if (error !== undefined) return [{ name: caseName, expect, found, policies, error }];
    const isRight = found === expect && (rule === undefined || policies.includes(rule));
    return isRight ? [] : [{ name: caseName, expect, found, policies }];
  });
};
