import { watch } from 'node:fs';
import { applyDocuments } from '../apply/apply-documents.ts';
import { loadDocuments } from '../apply/load-documents.ts';
import { createApiClient } from '../client/api-client.ts';
import { patiently } from '../client/patience.ts';
import type { Config } from '../config.ts';
import { renderError, toCliError } from '../output/render-error.ts';
import type { ReadyFile } from './ready-file.ts';

/** Editors write a file in several steps; this long nothing may happen before it is read. */
const quietForMs = 300;

/**
 * Applies the resources of a folder, now and after each change in it. What is wrong is said, and what was declared before stays; a
 * file that goes away takes nothing with it.
 * @param options.directory - absolute path
 * @returns a function that ends it; the first apply is over when it is returned
 */
export const watchResources = async ({
  directory,
  config,
  ready,
  token,
  onLine,
}: {
  directory: string;
  config: Config;
  ready: Pick<ReadyFile, 'url' | 'apiUrl' | 'mcpUrl' | 'modelsUrl'>;
  token: string;
  onLine(text: string): void;
}): Promise<() => void> => {
  const api = createApiClient({ ...ready, token: async () => token, place: ready.apiUrl });
  const closing = new AbortController();

  const apply = async (): Promise<void> => {
    try {
      const documents = await loadDocuments(config, [directory]);
      const results = await patiently(() => applyDocuments(api, documents), { signal: closing.signal });
      const changed = results.filter(({ action }) => action !== 'unchanged');
      onLine(`resources of ${directory}: ${results.length} declared, ${changed.length} of them new or changed`);
    } catch (error) {
      if (!closing.signal.aborted) onLine(renderError(toCliError(error)));
    }
  };

  let current = apply();
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(directory, { recursive: true, signal: closing.signal }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      current = current.then(apply);
    }, quietForMs);
  });
  watcher.on('error', (error) => onLine(`the folder ${directory} is not watched any more: ${error.message}`));
  await current;
  return () => {
    clearTimeout(timer);
    closing.abort();
  };
};
