import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { isRed, type Publication, type PublishRequest, type ValidationReport } from '../../schema/policy-publication.ts';
import type { Database } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import { findPublishedPolicies, insertPublishedPolicies, type PublishedContent } from '../../store/published-policies.ts';
import { applyResources, canonicalJson } from '../../store/resources.ts';
import type { ApiDecision, ApiDependencies, ApiProfile } from './api-dependencies.ts';
import { setFirstConditions } from './apply-documents.ts';
import { type CandidatePolicies, candidatePolicies } from './candidate-policies.ts';
import { inTransaction } from './in-transaction.ts';
import { recordChange } from './record-change.ts';
import type { DocumentIssue } from './render-error.ts';
import { backtest } from './try-policies.ts';
import { validatePolicies } from './validate-policies.ts';

export type PublishOutcome = { ok: true; publication: Publication } | { ok: false; issues: DocumentIssue[] };

/** @throws {PlatformError} `needs_person` */
const refuseAlone = (profile: ApiProfile): void => {
  if (profile === 'production')
    throw new PlatformError(
      'needs_person',
      'In the profile production policies are published by two approvers, and this release cannot ask the second one yet: nothing was published. The profiles dev and solo publish with one.',
    );
};

/** @throws {PlatformError} `policy_red` */
const refuseRed = ({ golden, platform }: ValidationReport): void => {
  const [guard] = platform;
  if (guard)
    throw new PlatformError(
      'policy_red',
      `A rule of the platform is missing or broken: ${guard.name} would get through. Nothing was published.`,
    );
  const red = golden.filter(isRed);
  const [first] = red;
  if (first)
    throw new PlatformError(
      'policy_red',
      `${red.length === 1 ? 'A golden decision is' : `${red.length} golden decisions are`} red, so nothing was published. The first: ${first.policySet}, ${first.name}: expected ${first.expect}, ${first.error ?? `found ${first.found} by ${first.policies.join(', ') || 'no policy'}`}.`,
    );
};

const onlyPolicySets = ({ policySets, tried, today }: CandidatePolicies): void => {
  if (policySets.length === 0 || canonicalJson(tried.bindings) !== canonicalJson(today.bindings))
    throw new PlatformError('request_invalid', 'PolicySets alone are published; apply AccessBindings with `quarterdeck apply`.');
};

/**
 * Publishes PolicySets: judged, tried on recorded calls, signed with all others of the project as one text, and stored in one transaction
 * with their resources and the audit rows. Gateways take the whole over or keep what they have.
 * @param decisions - one for each of the PolicySets, by name
 * @throws {PlatformError} `needs_person`, `policy_red`, `policy_flips`, `conflict` when the policies changed while they were tried
 */
export const publishPolicies = async (
  { database, audit, signPolicies, clock }: Pick<ApiDependencies, 'database' | 'audit' | 'signPolicies' | 'clock'>,
  profile: ApiProfile,
  person: Person,
  tenancy: Tenancy,
  { documents, acceptFlips, ...window }: PublishRequest,
  permitChange: (policySet: string) => Promise<ApiDecision>,
): Promise<PublishOutcome> => {
  refuseAlone(profile);
  const candidate = await candidatePolicies(database, tenancy, documents, false);
  if (!candidate.ok) return candidate;
  onlyPolicySets(candidate);
  const decisions = new Map<string, ApiDecision>();
  for (const { metadata } of candidate.policySets) decisions.set(metadata.name, await permitChange(metadata.name));
  refuseRed(validatePolicies(tenancy, candidate));
  const { flipped } = await backtest({ database, audit }, tenancy, candidate, window);
  if (flipped > 0 && !acceptFlips)
    throw new PlatformError(
      'policy_flips',
      `${flipped === 1 ? 'A recorded call' : `${flipped} recorded calls`} would be decided otherwise, so nothing was published: look with \`quarterdeck policy backtest\`, and accept it.`,
      { facts: { flipped } },
    );

  const write = async (within: Database): Promise<PublishOutcome> => {
    const now = await candidatePolicies(within, tenancy, documents, false);
    if (!now.ok) return now;
    if (canonicalJson(now.today) !== canonicalJson(candidate.today))
      throw new PlatformError('conflict', 'The policies changed while these were tried, so nothing was published; publish again.');
    const version = ((await findPublishedPolicies(within, tenancy))?.version ?? 0) + 1;
    const { org, project } = tenancy;
    const signed: PublishedContent = { org, project, version, policySets: now.tried.policySets };
    const content = JSON.stringify(signed);
    await insertPublishedPolicies(within, { org, project, version, content, signature: signPolicies(content), publishedBy: person.id });
    for (const { resource, action } of await applyResources(within, now.policySets)) {
      const { name } = resource.metadata;
      await setFirstConditions(within, resource, clock());
      const decision = decisions.get(name);
      if (decision)
        await recordChange(audit, within, tenancy, person, decision, {
          action: 'applyResource',
          resource: `PolicySet/${name}`,
          facts: { change: 'published', version, flipped, was: action },
        });
    }
    return { ok: true, publication: { version, policySets: signed.policySets.map(({ name }) => name), flipped, publishedBy: person.id } };
  };
  return inTransaction(database, write, { lockOrg: tenancy.org });
};
