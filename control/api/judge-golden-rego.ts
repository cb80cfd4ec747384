import type { DeclaredPolicies } from '../../policy/assemble-policies.ts';
import type { RegoPool } from '../../policy/rego/create-rego-pool.ts';
import type { ManifestInput, RegoInput } from '../../policy/rego/rego-input.ts';
import { askRego, isAboutTool, type RegoInForce, refusalIn } from '../../policy/rego/rego-policies.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { GoldenResult } from '../../schema/policy-publication.ts';
import type { GoldenDecision } from '../../schema/resources/golden.ts';
import type { RegoOutcome } from '../../schema/resources/rego.ts';

const principalOf = (tenancy: Tenancy, principal: GoldenDecision['principal']): ManifestInput['principal'] =>
  'agentRole' in principal
    ? { kind: 'agent', id: 'golden', person: principal.person, role: principal.agentRole, fleet: principal.fleet, run: 'golden' }
    : { kind: 'person', id: `${tenancy.org}/${principal.person}`, person: principal.person, role: '', fleet: '', run: '' };

/** What Rego would be given, and which of it; undefined where none is asked about such a decision. */
const questionOf = (
  tenancy: Tenancy,
  sets: readonly RegoInForce[],
  { principal, action, resource, context }: GoldenDecision,
): { about: RegoInForce[]; input: RegoInput } | undefined => {
  const common = { version: 1 as const, ...tenancy, atSeconds: 0, principal: principalOf(tenancy, principal) };
  if (action === 'applyResource' && 'declared' in resource && context.manifest) {
    const [kind = ''] = resource.declared.split('/');
    const about = sets.filter(({ rego }) => rego.manifests.includes(kind));
    return { about, input: { ...common, kind: 'manifest', manifest: context.manifest } };
  }
  if (action !== 'callTool' || !('tool' in resource)) return undefined;
  const [server = '', ...rest] = resource.tool.split('/');
  const name = { toolset: resource.toolset, server, tool: rest.join('/') };
  const { readOnly, destructive, idempotent, openWorld } = resource;
  const { paths, roots, urls, hosts, canonical, bytes } = context;
  const input: RegoInput = {
    ...common,
    kind: 'toolCall',
    inputResponses: {},
    ...name,
    hints: { readOnly, destructive, idempotent, openWorld },
    arguments: context.arguments,
    facts: { paths, roots, urls, hosts, canonical, bytes },
  };
  return { about: sets.filter(({ rego }) => isAboutTool(rego.tools, name)), input };
};

const narrowed = (result: GoldenResult, { outcome, rules, messages }: RegoOutcome): GoldenResult => ({
  ...result,
  found: 'deny',
  policies: rules,
  // a case that cannot be decided proves nothing, whatever it expects
  error: outcome === 'deny' ? null : `Rego gives no usable answer (${outcome}): ${messages.join(' ')}`,
});

/**
 * Asks Rego about the golden decisions that Cedar does not deny, as a call would be.
 * @param policySets - compiled
 * @param results - what Cedar found, in the order of `decisions`
 */
export const judgeGoldenRego = async (
  pool: Pick<RegoPool, 'evaluate'>,
  tenancy: Tenancy,
  policySets: readonly DeclaredPolicies[],
  decisions: readonly GoldenDecision[],
  results: readonly GoldenResult[],
): Promise<GoldenResult[]> => {
  const sets = policySets.flatMap(({ name, rego }) => (rego ? [{ policySet: name, project: `trial of ${tenancy.org}`, rego }] : []));
  if (sets.length === 0) return [...results];
  const judged: GoldenResult[] = [];
  for (const [index, result] of results.entries()) {
    const decision = decisions[index];
    const question = decision && result.found !== 'deny' && result.error === null ? questionOf(tenancy, sets, decision) : undefined;
    const refusal = question && refusalIn(await askRego(pool, question.about, question.input, () => 0));
    judged.push(refusal ? narrowed(result, refusal) : result);
  }
  return judged;
};
