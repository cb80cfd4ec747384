import type { AppliedResource, ComparedResource } from '../../control/api/apply-documents.ts';
import type { ApiClient } from '../client/api-client.ts';
import { placeRefusal } from './check-documents.ts';
import type { SourceDocument } from './parse-documents.ts';

const send = async <T>(api: ApiClient, path: string, documents: SourceDocument[], body: object = {}): Promise<T[]> => {
  try {
    return (await api.post<{ results: T[] }>(path, { documents: documents.map(({ value }) => value), ...body })).results;
  } catch (error) {
    throw placeRefusal(error, documents);
  }
};

/** Applies documents, all or none. @throws {CliError} with the place in the files of each thing that is not as expected */
export const applyDocuments = (api: ApiClient, documents: SourceDocument[], { dryRun = false } = {}): Promise<AppliedResource[]> =>
  send<AppliedResource>(api, '/apply', documents, { dryRun });

/** Asks what an apply would change. */
export const compareDocuments = (api: ApiClient, documents: SourceDocument[]): Promise<ComparedResource[]> =>
  send<ComparedResource>(api, '/diff', documents);
