import { absolutePath } from '../client/working-directory.ts';
import type { Config } from '../config.ts';
import { checkDocuments } from './check-documents.ts';
import { parseDocuments, type SourceDocument } from './parse-documents.ts';
import { readSources } from './read-sources.ts';

/**
 * Reads and checks what `-f` names, before anything is sent.
 * @throws {CliError} with `file:line:column: field: what is expected` for each wrong place
 */
export const loadDocuments = async (config: Config, paths: string[]): Promise<SourceDocument[]> => {
  const documents = parseDocuments(await readSources(paths, (path) => absolutePath(config, path)));
  checkDocuments(documents);
  return documents;
};
