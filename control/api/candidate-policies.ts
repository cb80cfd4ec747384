import { checkProjectPolicies, type ProjectPolicies } from '../../policy/assemble-policies.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Resource, ResourceOf } from '../../schema/resource.ts';
import type { Database } from '../../store/database.ts';
import { declaredFrom, policiesIn, projectPolicies } from '../../store/declared.ts';
import { listResources } from '../../store/resources.ts';
import { checkPolicies, checkShapes, checkTogether } from './check-documents.ts';
import type { DocumentIssue } from './document-issue.ts';

/** Policies that somebody has in mind for a project, beside those in force. */
export type CandidatePolicies = {
  ok: true;
  tried: ProjectPolicies;
  today: ProjectPolicies;
  policySets: ResourceOf<'PolicySet'>[];
  /** Number of the document that a PolicySet of this name is in; that of the first one for what is stored. */
  documentOf: (policySet: string) => number;
  /** All that is declared in the project. */
  declared: readonly Resource[];
};

/** What is given, in the place of what has its name; `isWhole`: and nothing else. */
const merged = <Each extends { name: string }>(stored: readonly Each[], given: readonly Each[], isWhole: boolean): Each[] => {
  const names = new Set(given.map(({ name }) => name));
  return [...(isWhole ? [] : stored.filter(({ name }) => !names.has(name))), ...given];
};

const foreign = (resources: readonly (Resource | undefined)[], { project }: Tenancy): DocumentIssue[] =>
  resources.flatMap((resource, document) =>
    resource && resource.metadata.project !== project && ['PolicySet', 'AccessBinding'].includes(resource.kind)
      ? [{ document, path: ['metadata', 'project'], message: `expected \`${project}\`: policies are tried in one project` }]
      : [],
  );

/**
 * Reads documents as the policies of a project: PolicySets and AccessBindings; documents of other kinds are left aside.
 * @param isWhole - what is declared beside them is left out
 */
export const candidatePolicies = async (
  database: Database,
  tenancy: Tenancy,
  documents: unknown[],
  isWhole: boolean,
): Promise<CandidatePolicies | { ok: false; issues: DocumentIssue[] }> => {
  const { resources, issues } = checkShapes(documents);
  issues.push(...checkTogether(resources, tenancy.org), ...foreign(resources, tenancy));
  const policySets = resources.filter((resource) => resource?.kind === 'PolicySet');
  const bindings = resources.filter((resource) => resource?.kind === 'AccessBinding');
  if (issues.length === 0 && policySets.length + bindings.length === 0)
    issues.push({ document: 0, path: ['kind'], message: 'expected a PolicySet or an AccessBinding among what is given' });
  if (issues.length > 0) return { ok: false, issues };
  const declared = await listResources(database, tenancy);
  const today = projectPolicies(declaredFrom(declared, []), tenancy);
  const tried: ProjectPolicies = {
    policySets: merged(
      today.policySets,
      policySets.map(({ metadata, spec }) => policiesIn(metadata.name, spec)),
      isWhole,
    ),
    bindings: merged(
      today.bindings,
      bindings.map(({ metadata, spec }) => ({ name: metadata.name, spec })),
      isWhole,
    ),
  };
  const documentOf = (name: string): number =>
    Math.max(
      0,
      resources.findIndex((resource) => resource?.kind === 'PolicySet' && resource.metadata.name === name),
    );
  const invalid = checkPolicies(resources, (of) => checkProjectPolicies(of, tried));
  return invalid.length > 0 ? { ok: false, issues: invalid } : { ok: true, tried, today, policySets, documentOf, declared };
};
