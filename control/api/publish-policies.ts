import type { DeclaredPolicies } from '../../policy/assemble-policies.ts';
import type { Approval } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { isRed, type Publication, type PublishRequest, type ValidationReport } from '../../schema/policy-publication.ts';
import type { Database } from '../../store/database.ts';
import { digestOfText } from '../../store/exact-call.ts';
import type { ExactPublication } from '../../store/exact-change.ts';
import type { Person } from '../../store/people.ts';
import {
  findPublishedPolicies,
  insertPublishedPolicies,
  lastPublishedVersion,
  type PublishedContent,
} from '../../store/published-policies.ts';
import { applyResources, canonicalJson, findResource } from '../../store/resources.ts';
import type { ApiDecision, ApiDependencies, ApiProfile } from './api-dependencies.ts';
import { setFirstConditions } from './apply-documents.ts';
import { type CandidatePolicies, candidatePolicies } from './candidate-policies.ts';
import { changeNeed } from './change-need.ts';
import { compilePolicies } from './compile-policies.ts';
import type { DocumentIssue } from './document-issue.ts';
import type { Enacting } from './enacting.ts';
import { inTransaction } from './in-transaction.ts';
import { proposeChange } from './propose-change.ts';
import { recordChange } from './record-change.ts';
import { backtest } from './try-policies.ts';
import { validatePolicies } from './validate-policies.ts';

export type PublishOutcome =
  | { ok: true; publication: Publication }
  /** Waits for other people; with the last approval it is in force. */
  | { ok: true; waiting: Approval; flipped: number }
  | { ok: false; issues: DocumentIssue[] };

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

const bundleDigest = (policies: CandidatePolicies['tried']): string => digestOfText(canonicalJson(policies));

/** One more than any that was ever in force: gateways refuse what is older than they have seen, also after the table was damaged. */
const nextVersion = async (within: Database, tenancy: Tenancy): Promise<number> =>
  Math.max((await findPublishedPolicies(within, tenancy))?.version ?? 0, await lastPublishedVersion(within, tenancy)) + 1;

/** `compiled`: the PolicySets with their Rego as it is signed. */
type InForce = { publishedBy: string; flipped: number; compiled: DeclaredPolicies[]; approval?: string };

const regoFacts = ({ policySets }: PublishedContent, policySet: string): { rego?: string } => {
  const digest = policySets.find(({ name }) => name === policySet)?.rego?.compiled?.digest;
  return digest === undefined ? {} : { rego: digest };
};

/** Signs the policies of a project as one text, and stores them with their resources and the audit rows. */
const putInForce = async (
  { audit, signPolicies, clock }: Pick<ApiDependencies, 'audit' | 'signPolicies' | 'clock'>,
  within: Database,
  { org, project }: Tenancy,
  { policySets }: CandidatePolicies,
  { publishedBy, flipped, compiled, approval }: InForce,
  by: { person: Person; decisionOn: (policySet: string) => ApiDecision | undefined },
): Promise<Publication> => {
  const version = await nextVersion(within, { org, project });
  const signed: PublishedContent = { org, project, version, policySets: compiled };
  const content = JSON.stringify(signed);
  await insertPublishedPolicies(within, { org, project, version, content, signature: signPolicies(content), publishedBy });
  for (const { resource, action } of await applyResources(within, policySets, publishedBy)) {
    const { name } = resource.metadata;
    await setFirstConditions(within, resource, clock());
    const decision = by.decisionOn(name);
    if (decision)
      await recordChange(audit, within, { org, project }, by.person, decision, {
        action: 'applyResource',
        resource: `PolicySet/${name}`,
        facts: {
          change: 'published',
          version,
          flipped,
          was: action,
          ...(approval === undefined ? {} : { approval }),
          ...regoFacts(signed, name),
        },
      });
  }
  return { version, policySets: signed.policySets.map(({ name }) => name), flipped, publishedBy };
};

/**
 * Publishes PolicySets: judged, tried on recorded calls, signed with all others of the project as one text, and stored in one transaction
 * with their resources and the audit rows. Gateways take the whole over or keep what they have. Where others have to approve it, they are
 * asked, and nothing is in force before.
 * @param permitChange - a decision for each of the PolicySets, by name
 * @throws {PlatformError} `policy_red`, `policy_flips`, `approval_denied`, `conflict` when the policies changed while they were tried
 */
export const publishPolicies = async (
  dependencies: Pick<ApiDependencies, 'database' | 'audit' | 'signPolicies' | 'clock' | 'approvalKeys' | 'rego'>,
  profile: ApiProfile,
  person: Person,
  tenancy: Tenancy,
  { documents, acceptFlips, ...window }: PublishRequest,
  permitChange: (policySet: string) => Promise<ApiDecision>,
): Promise<PublishOutcome> => {
  const { database } = dependencies;
  const candidate = await candidatePolicies(database, tenancy, documents, false);
  if (!candidate.ok) return candidate;
  onlyPolicySets(candidate);
  const decisions = new Map<string, ApiDecision>();
  for (const { metadata } of candidate.policySets) decisions.set(metadata.name, await permitChange(metadata.name));
  const compiled = await compilePolicies(dependencies.rego, tenancy, candidate);
  if (!compiled.ok) return compiled;
  refuseRed(await validatePolicies(dependencies.rego.pool, tenancy, candidate, compiled.policySets));
  const { flipped } = await backtest(dependencies, tenancy, candidate, window);
  if (flipped > 0 && !acceptFlips)
    throw new PlatformError(
      'policy_flips',
      `${flipped === 1 ? 'A recorded call' : `${flipped} recorded calls`} would be decided otherwise, so nothing was published: look with \`quarterdeck policy backtest\`, and accept it.`,
      { facts: { flipped } },
    );
  const place = await findResource(database, { ...tenancy, kind: 'Project', name: tenancy.project });
  const need = changeNeed('publication', profile, place?.spec);
  const [decision] = decisions.values();
  if (need && decision) {
    const { tried, today, policySets } = candidate;
    const digests = { base: bundleDigest(today), bundle: bundleDigest(tried) };
    const subject = `policies: ${policySets.map(({ metadata }) => metadata.name).join(', ')}`;
    const change = { kind: 'publication' as const, ...tenancy, ...digests, flipped, documents: policySets };
    return { ok: true, waiting: await proposeChange(dependencies, person, tenancy, decision, { change, subject, need }), flipped };
  }

  const write = async (within: Database): Promise<PublishOutcome> => {
    const now = await candidatePolicies(within, tenancy, documents, false);
    if (!now.ok) return now;
    if (canonicalJson(now.today) !== canonicalJson(candidate.today))
      throw new PlatformError('conflict', 'The policies changed while these were tried, so nothing was published; publish again.');
    const by = { person, decisionOn: (name: string) => decisions.get(name) };
    const inForce = { publishedBy: person.id, flipped, compiled: compiled.policySets };
    return { ok: true, publication: await putInForce(dependencies, within, tenancy, now, inForce, by) };
  };
  return inTransaction(database, write, { lockOrg: tenancy.org });
};

/**
 * Publishes what other people approved: made out of the documents that they were shown, on the policies that it was tried on.
 * @throws {PlatformError} `conflict`, `not_permitted`, `policy_red`
 */
export const publishApproved = async (
  dependencies: Pick<ApiDependencies, 'audit' | 'signPolicies' | 'clock' | 'authorize' | 'rego'>,
  within: Database,
  { org, project, base, bundle, flipped, documents }: ExactPublication,
  { approval, proposer, approver, decision }: Enacting,
): Promise<Publication> => {
  const tenancy = { org, project };
  const now = await candidatePolicies(within, tenancy, documents, false);
  if (!now.ok || bundleDigest(now.today) !== base || bundleDigest(now.tried) !== bundle)
    throw new PlatformError(
      'conflict',
      `The policies of ${org}/${project} are not those that this was tried on any more, so nothing was published and approval ${approval.id} is void; publish again.`,
    );
  for (const { metadata } of now.policySets) {
    const { effect } = await dependencies.authorize(proposer, 'applyResource', tenancy, { kind: 'PolicySet', name: metadata.name });
    if (effect === 'deny')
      throw new PlatformError(
        'not_permitted',
        `${proposer.id}, who proposed this, may not change PolicySet ${metadata.name} any more; nothing was published and approval ${approval.id} is void.`,
      );
  }
  const compiled = await compilePolicies(dependencies.rego, tenancy, now);
  if (!compiled.ok) throw new PlatformError('resource_invalid', `The Rego is not valid: ${compiled.issues[0]?.message}.`);
  refuseRed(await validatePolicies(dependencies.rego.pool, tenancy, now, compiled.policySets));
  const inForce = { publishedBy: proposer.id, flipped, compiled: compiled.policySets, approval: approval.id };
  return putInForce(dependencies, within, tenancy, now, inForce, { person: approver, decisionOn: () => decision });
};
