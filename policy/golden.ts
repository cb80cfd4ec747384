import { type PolicySet as CedarPolicySet, preparsePolicySet, preparseSchema, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import type { KnownRequest } from './decision-cache.ts';
import { entityMap } from './slice-entities.ts';

/** A request with the decision that policies have to make about it. */
export type GoldenCase = {
  name: string;
  asked: Omit<KnownRequest, 'forAnyArguments'>;
  expect: 'allow' | 'deny';
  /** The one policy that has to decide it. */
  rule?: string;
};
export type GoldenFailure = { name: string; expect: 'allow' | 'deny'; found: 'allow' | 'deny'; policies: string[]; error?: string };

const name = 'golden';

/**
 * Asks Cedar each case, with nothing sliced and nothing remembered.
 * @param set - policies that were assembled, so they are valid under `schema`
 * @returns the cases that are decided otherwise
 */
export const failedGolden = (set: CedarPolicySet, schema: string, cases: readonly GoldenCase[]): GoldenFailure[] => {
  for (const parsed of [preparseSchema(name, schema), preparsePolicySet(name, set)])
    if (parsed.type === 'failure') throw new Error(`policies that were assembled do not parse: ${parsed.errors[0]?.message}`);
  return cases.flatMap(({ name: caseName, asked, expect, rule }): GoldenFailure[] => {
    const { principal, action, resource, surroundings, context } = asked;
    const answer = statefulIsAuthorized({
      principal: principal.uid,
      action: { type: 'Quarterdeck::Action', id: action },
      resource: resource.uid,
      context,
      entities: [...entityMap(surroundings.entities, principal.entities, resource.entities).values()],
      preparsedSchemaName: name,
      preparsedPolicySetId: name,
      validateRequest: true,
    });
    // a case that cannot be asked proves nothing, whatever it expects
    if (answer.type === 'failure')
      return [{ name: caseName, expect, found: 'deny', policies: [], error: answer.errors.map(({ message }) => message).join('; ') }];
    const { decision, diagnostics } = answer.response;
    const [error] = diagnostics.errors;
    if (error) return [{ name: caseName, expect, found: 'deny', policies: [error.policyId], error: error.error.message }];
    const policies = [...diagnostics.reason].sort();
    const isRight = decision === expect && (rule === undefined || policies.includes(rule));
    return isRight ? [] : [{ name: caseName, expect, found: decision, policies }];
  });
};
