import { defaultTenancy } from '../../schema/ids.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import type { TargetDetail } from '../../schema/reconcile/requests.ts';
import type { Keeper } from './keeper.ts';

export type PlatformClient = ReturnType<typeof createPlatformClient>;

const mostTries = 10;
const tryAgainMs = 500;

/** Talks to the public api as one person, as anybody with their token can. */
export const createPlatformClient = ({
  apiUrl,
  token,
  project = defaultTenancy.project,
}: {
  apiUrl: string;
  token: string;
  project?: string;
}) => {
  const root = `${apiUrl}/api/v1alpha1/${defaultTenancy.org}/${project}`;
  const send = async (method: string, url: string, body?: unknown, triesLeft = method === 'POST' ? 0 : mostTries) => {
    const asked = fetch(url, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
    // a connection that the server had just closed says nothing about the platform; what may have an effect twice is not sent twice
    const answer = await asked.catch((error: unknown) => (triesLeft > 0 ? undefined : Promise.reject(error)));
    if (!answer) {
      await new Promise((resolve) => setTimeout(resolve, tryAgainMs));
      return send(method, url, body, triesLeft - 1);
    }
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${text.slice(0, 1000)}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    get: (path: string) => send('GET', `${root}${path}`),
    post: (path: string, body: unknown) => send('POST', `${root}${path}`, body),
    delete: (path: string) => send('DELETE', `${root}${path}`),
    /** Resources as people write them. */
    apply: (...documents: { metadata: object; [member: string]: unknown }[]) =>
      send(
        'POST',
        `${apiUrl}/api/v1alpha1/apply`,
        {
          documents: documents.map(({ metadata, ...document }) => ({
            ...{ apiVersion: 'quarterdeck.dev/v1alpha1', ...document },
            metadata: { ...metadata, project },
          })),
        },
        mostTries,
      ),
  };
};

/** The reconciler of a running platform, as its public api shows it. */
export const keeperOf = (client: PlatformClient): Keeper => ({
  declare: async (name, spec) => {
    await client.apply({ kind: 'ReconcileTarget', metadata: { name }, spec });
  },
  look: async (name) => {
    const [target, { fixes }]: [TargetDetail, { fixes: Fix[] }] = await Promise.all([
      client.get(`/reconcile/targets/${name}`),
      client.get(`/reconcile/targets/${name}/history?limit=50`),
    ]);
    return { phase: target.phase, message: target.message, fixes };
  },
  forget: (name) => client.delete(`/resources/ReconcileTarget/${name}`),
});
