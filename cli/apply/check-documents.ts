import type { ResourceIssue } from '../../schema/validate-resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';
import { ApiRefusal } from '../client/api-client.ts';
import { CliError, type FileIssue } from '../output/cli-error.ts';
import type { SourceDocument } from './parse-documents.ts';

const placed = (document: SourceDocument | undefined, { path, message }: ResourceIssue): FileIssue => ({
  // what should not be there is shown by its name, anything else by its value
  place: document?.placeOf(path, /^(there is no field|the field) /.test(message)) ?? '<unknown>',
  field: path.join('.'),
  message,
});

const invalid = (issues: FileIssue[], requestId?: string): CliError => {
  const count = issues.length === 1 ? 'one thing is' : `${issues.length} things are`;
  return new CliError(`Nothing was applied: ${count} not as expected`, { code: 'resource_invalid', issues, requestId });
};

/** Checks what can be checked without a platform. @throws {CliError} with `file:line:column` of each wrong field */
export const checkDocuments = (documents: SourceDocument[]): void => {
  if (documents.length === 0)
    throw new CliError('There is no resource in what was given', {
      next: 'see `quarterdeck describe schema KIND` for what a resource looks like',
    });
  const issues = documents.flatMap((document) => {
    const result = validateResource(document.value);
    return result.ok ? [] : result.issues.map((issue) => placed(document, issue));
  });
  if (issues.length > 0) throw invalid(issues);
};

/** Says where in the files the platform's refusal belongs. */
export const placeRefusal = (error: unknown, documents: SourceDocument[]): unknown =>
  error instanceof ApiRefusal && error.documentIssues.length > 0
    ? invalid(
        error.documentIssues.map((issue) => placed(documents[issue.document], issue)),
        error.requestId,
      )
    : error;
