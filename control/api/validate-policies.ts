import { assemblePolicies, currentPlatform } from '../../policy/assemble-policies.ts';
import { failedGolden } from '../../policy/golden.ts';
import { goldenCases } from '../../policy/golden-cases.ts';
import { failedPlatformGolden } from '../../policy/platform-golden.ts';
import { policySources } from '../../policy/policy-sources.ts';
import { undeclaredNames } from '../../policy/undeclared-names.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { GoldenResult, ValidationReport } from '../../schema/policy-publication.ts';
import type { CandidatePolicies } from './candidate-policies.ts';

/** The golden decisions of all PolicySets as they would be: those that are given in the place of the stored ones. */
const goldenResults = (tenancy: Tenancy, { tried, policySets, declared }: CandidatePolicies): GoldenResult[] => {
  const assembled = assemblePolicies(tenancy, tried);
  if (!assembled.ok) throw new PlatformError('resource_invalid', `The policies are not valid: ${assembled.issues[0]?.message}.`);
  const given = new Map(policySets.map((set) => [set.metadata.name, set.spec]));
  const stored = declared.flatMap((resource) => (resource.kind === 'PolicySet' ? [[resource.metadata.name, resource.spec] as const] : []));
  const specs = new Map([...stored, ...given]);
  return [...specs]
    .filter(([name]) => tried.policySets.some((set) => set.name === name))
    .flatMap(([policySet, { golden = [] }]) => {
      const failed = failedGolden(assembled.set, currentPlatform.schema, goldenCases(tenancy, golden));
      return golden.map(({ name, expect }): GoldenResult => {
        const failure = failed.find((each) => each.name === name);
        return {
          policySet,
          name,
          expect,
          found: failure?.found ?? expect,
          policies: failure?.policies ?? [],
          error: failure?.error ?? null,
        };
      });
    });
};

/** Judges policies that parse: what they decide of the golden decisions, theirs and the platform's, and whom they mention that is not there. */
export const validatePolicies = (tenancy: Tenancy, candidate: CandidatePolicies): ValidationReport => {
  const { tried, policySets, declared } = candidate;
  const sources = [...policySources(tenancy, tried, currentPlatform).values()];
  const given = new Set(policySets.map(({ metadata }) => metadata.name));
  const own = sources.filter(({ kind, name }) => kind === 'PolicySet' && given.has(name));
  const isDeclared = (kind: string, name: string): boolean =>
    declared.some((resource) => resource.kind === kind && resource.metadata.name === name);
  return {
    policies: own.length,
    golden: goldenResults(tenancy, candidate),
    platform: failedPlatformGolden(tried).map(({ name, policies }) => ({ name, policies })),
    warnings: undeclaredNames(own, tenancy, isDeclared),
  };
};
