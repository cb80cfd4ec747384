import type { Kind, Resource } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';
import type { ValidatePolicies } from './api-dependencies.ts';
import { checkMeaning } from './check-meaning.ts';
import type { DocumentIssue } from './document-issue.ts';
import { referencesOf } from './resource-references.ts';

/** `org/project/Kind/name`: one resource among all. */
export const keyOf = (kind: Kind, { org, project, name }: { org: string; project: string; name: string }): string =>
  `${org}/${project}/${kind}/${name}`;

/** Checks each document alone. @returns resources in the order of the documents, undefined where there are issues */
export const checkShapes = (documents: unknown[]): { resources: (Resource | undefined)[]; issues: DocumentIssue[] } => {
  const issues: DocumentIssue[] = [];
  const resources = documents.map((document, index) => {
    const result = validateResource(document);
    const found = result.ok ? checkMeaning(result.resource) : result.issues;
    issues.push(...found.map((issue) => ({ document: index, ...issue })));
    return result.ok ? result.resource : undefined;
  });
  return { resources, issues };
};

/** Checks documents against each other: the same resource twice, a tenant that the person does not have. */
export const checkTogether = (resources: (Resource | undefined)[], org: string): DocumentIssue[] => {
  const seen = new Map<string, number>();
  return resources.flatMap((resource, document): DocumentIssue[] => {
    if (!resource) return [];
    const { metadata, kind } = resource;
    if (metadata.org !== org)
      return [{ document, path: ['metadata', 'org'], message: `expected \`${org}\`, the org you belong to; orgs are not made by apply` }];
    const key = keyOf(kind, metadata);
    const first = seen.get(key);
    seen.set(key, first ?? document);
    if (first === undefined) return [];
    return [
      { document, path: ['metadata', 'name'], message: `${kind} ${metadata.name} is already in document ${first + 1}; name it once` },
    ];
  });
};

/** Checks that what the resources mention exists, among themselves or in the store: their projects and their references. */
export const checkReferences = (resources: (Resource | undefined)[], stored: ReadonlySet<string>): DocumentIssue[] => {
  const known = new Set([...stored, ...resources.flatMap((resource) => (resource ? [keyOf(resource.kind, resource.metadata)] : []))]);
  return resources.flatMap((resource, document): DocumentIssue[] => {
    if (!resource) return [];
    const { org, project } = resource.metadata;
    const hasProject = project === 'default' || known.has(keyOf('Project', { org, project, name: project }));
    const missingProject = hasProject
      ? []
      : [{ document, path: ['metadata', 'project'], message: `there is no Project \`${project}\`; apply one first, or with this` }];
    const missing = referencesOf(resource)
      .filter(({ kind, name }) => !known.has(keyOf(kind, { org, project, name })))
      .map(({ kind, name, path }) => ({ document, path, message: `there is no ${kind} \`${name}\` in ${org}/${project}` }));
    return [...missingProject, ...missing];
  });
};

/** Has the Cedar texts judged, those of a project together. */
export const checkPolicies = (resources: (Resource | undefined)[], validatePolicies: ValidatePolicies): DocumentIssue[] => {
  const policySets = resources.flatMap((resource, document) => (resource?.kind === 'PolicySet' ? [{ document, resource }] : []));
  const byProject = Map.groupBy(policySets, ({ resource: { metadata } }) => `${metadata.org}/${metadata.project}`);
  return [...byProject.values()].flatMap((sets): DocumentIssue[] => {
    const [first] = sets;
    if (!first) return [];
    const { org, project } = first.resource.metadata;
    const texts = sets.map(({ resource }) => ({ name: resource.metadata.name, cedar: resource.spec.cedar }));
    const result = validatePolicies({ org, project }, texts);
    if (result.ok) return [];
    return result.issues.map(({ name, message, line, column }) => {
      const { document } = sets.find(({ resource }) => resource.metadata.name === name) ?? first;
      const at = line === undefined ? '' : `, line ${line}${column === undefined ? '' : ` column ${column}`} of the text`;
      return { document, path: ['spec', 'cedar'], message: `expected valid Cedar${at}: ${message}` };
    });
  });
};
