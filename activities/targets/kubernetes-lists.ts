import { type KubernetesClient, KubernetesFailure, type KubernetesObject } from './kubernetes-client.ts';

const pageSize = 500;
/** Of objects as large as the store takes (1.5 MiB) so many still fit into one answer that we read. */
const pageSizeOfLarge = 20;
/** Objects of one kind in one namespace; beyond them we do not know what is there. */
const mostObjects = 10_000;

export type KubernetesList = { items: KubernetesObject[]; resourceVersion: string };

const readPages = async (
  client: KubernetesClient,
  path: string,
  query: Record<string, string>,
  signal: AbortSignal,
): Promise<KubernetesList> => {
  const items: KubernetesObject[] = [];
  const readPage = (limit: number, next: string): Promise<KubernetesObject> =>
    client.send({ path, query: { limit: String(limit), ...query, ...(next ? { continue: next } : {}) }, signal });
  let limit = pageSize;
  for (let next: string | undefined = ''; ; ) {
    const from: string = next;
    const page: KubernetesObject = await readPage(limit, from).catch((error) => {
      if (!(error instanceof KubernetesFailure) || error.reason !== 'TooLarge' || limit === pageSizeOfLarge) throw error;
      limit = pageSizeOfLarge; // somebody fills large objects: they cost more requests, and blind nobody
      return readPage(limit, from);
    });
    const { metadata, apiVersion, kind } = page ?? {};
    if (!Array.isArray(page?.items) || typeof metadata?.resourceVersion !== 'string')
      throw new KubernetesFailure(0, 'NoList', `what the API server answers for ${path} is no list`);
    for (const item of page.items) items.push({ apiVersion, kind: String(kind).replace(/List$/, ''), ...item });
    if (items.length > mostObjects) throw new KubernetesFailure(413, 'TooMany', `there are more than ${mostObjects} objects at ${path}`);
    next = metadata.continue || undefined;
    if (!next) return { items, resourceVersion: metadata.resourceVersion };
  }
};

/** All objects at a path, page by page; a list that expires between two pages is read once more from its beginning. */
export const listAll = async (
  client: KubernetesClient,
  path: string,
  signal: AbortSignal,
  query: Record<string, string> = {},
): Promise<KubernetesList> => {
  try {
    return await readPages(client, path, query, signal);
  } catch (error) {
    if (!(error instanceof KubernetesFailure) || error.status !== 410) throw error;
    return readPages(client, path, query, signal);
  }
};
