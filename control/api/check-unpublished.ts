import type { Tenancy } from '../../schema/ids.ts';
import type { Resource, StoredResource } from '../../schema/resource.ts';
import type { Database } from '../../store/database.ts';
import { findPublishedPolicies } from '../../store/published-policies.ts';
import { compareResource } from '../../store/resources.ts';
import { keyOf } from './check-documents.ts';
import type { DocumentIssue } from './document-issue.ts';

/** Why the PolicySets of a project are not changed one by one. */
export const publishedHint = ({ org, project }: Tenancy): string =>
  `the policies of ${org}/${project} are published as a whole; change them with \`quarterdeck policy publish\``;

/** Once the policies of a project are published, what is in force is what was signed: a PolicySet beside that would mislead. */
export const checkUnpublished = async (
  database: Database,
  wanted: readonly Resource[],
  stored: ReadonlyMap<string, StoredResource>,
): Promise<DocumentIssue[]> => {
  const issues: DocumentIssue[] = [];
  for (const [document, resource] of wanted.entries()) {
    const { kind, metadata } = resource;
    if (kind !== 'PolicySet' || compareResource(stored.get(keyOf(kind, metadata)), resource) === 'unchanged') continue;
    if (resource.spec.rego)
      issues.push({
        document,
        path: ['spec', 'rego'],
        message: 'expected none: Rego is compiled and signed when it is published; use `quarterdeck policy publish`',
      });
    else if (await findPublishedPolicies(database, metadata))
      issues.push({ document, path: ['kind'], message: `expected none: ${publishedHint(metadata)}` });
  }
  return issues;
};
