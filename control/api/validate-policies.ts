import { assemblePolicies, currentPlatform, type DeclaredPolicies } from '../../policy/assemble-policies.ts';
import { failedGolden } from '../../policy/golden.ts';
import { goldenCases } from '../../policy/golden-cases.ts';
import { failedPlatformGolden } from '../../policy/platform-golden.ts';
import { policySources } from '../../policy/policy-sources.ts';
import { undeclaredNames } from '../../policy/undeclared-names.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { GoldenResult, ValidationReport } from '../../schema/policy-publication.ts';
import type { CandidatePolicies } from './candidate-policies.ts';
import { judgeGoldenRego } from './judge-golden-rego.ts';
import type { RegoWorkshop } from './rego-workshop.ts';

/** The golden decisions of all PolicySets as they would be: those that are given in the place of the stored ones. */
const goldenResults = async (
  pool: RegoWorkshop['pool'],
  tenancy: Tenancy,
  { tried, policySets, declared }: CandidatePolicies,
  compiled: readonly DeclaredPolicies[],
): Promise<GoldenResult[]> => {
  const assembled = assemblePolicies(tenancy, tried);
  if (!assembled.ok) throw new PlatformError('resource_invalid', `The policies are not valid: ${assembled.issues[0]?.message}.`);
  const given = new Map(policySets.map((set) => [set.metadata.name, set.spec]));
  const stored = declared.flatMap((resource) => (resource.kind === 'PolicySet' ? [[resource.metadata.name, resource.spec] as const] : []));
  const specs = new Map([...stored, ...given]);
  const results: GoldenResult[] = [];
  for (const [policySet, { golden = [] }] of specs) {
    if (!tried.policySets.some((set) => set.name === policySet)) continue;
    const failed = failedGolden(assembled.set, currentPlatform.schema, goldenCases(tenancy, golden));
    const byCedar = golden.map(({ name, expect }): GoldenResult => {
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
    results.push(...(await judgeGoldenRego(pool, tenancy, compiled, golden, byCedar)));
  }
  return results;
};

/** A `deny` alone says nothing of arguments that its expressions do not fit: those are undefined, and deny nothing. */
const withoutAllow = ({ name, rego }: DeclaredPolicies): ValidationReport['warnings'] =>
  rego && !rego.modules.some(({ text }) => /^\s*(default\s+)?allow\b/m.test(text))
    ? [
        {
          policySet: name,
          line: 1,
          message:
            'its Rego has no rule `allow`: what `deny` cannot evaluate, because an argument is missing or of another type, it does not deny; say in `allow` what has to hold',
        },
      ]
    : [];

/**
 * Judges policies that parse: what they decide of the golden decisions, theirs and the platform's, and whom they mention that is not there.
 * @param compiled - the PolicySets as they would be in force
 */
export const validatePolicies = async (
  pool: RegoWorkshop['pool'],
  tenancy: Tenancy,
  candidate: CandidatePolicies,
  compiled: readonly DeclaredPolicies[],
): Promise<ValidationReport> => {
  const { tried, policySets, declared } = candidate;
  const sources = [...policySources(tenancy, tried, currentPlatform).values()];
  const given = new Set(policySets.map(({ metadata }) => metadata.name));
  const own = sources.filter(({ kind, name }) => kind === 'PolicySet' && given.has(name));
  const isDeclared = (kind: string, name: string): boolean =>
    declared.some((resource) => resource.kind === kind && resource.metadata.name === name);
  return {
    policies: own.length,
    rego: compiled.flatMap(({ name, rego }) =>
      rego?.compiled ? [{ policySet: name, compiler: rego.compiled.compiler, bundle: rego.compiled.digest }] : [],
    ),
    golden: await goldenResults(pool, tenancy, candidate, compiled),
    platform: failedPlatformGolden(tried).map(({ name, policies }) => ({ name, policies })),
    warnings: [...undeclaredNames(own, tenancy, isDeclared), ...compiled.filter(({ name }) => given.has(name)).flatMap(withoutAllow)],
  };
};
