import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import { createKeptValues } from './kept-values.ts';
import type { KubernetesSettings } from './settings.ts';

export type KubernetesReference = { secret: string; key: string; namespace?: string | undefined };
type Secret = { labels: Record<string, string>; data: Record<string, string> };

/** Says whose a Secret is: without the label of the org nobody here may refer to it; one of a project narrows it. */
export const orgLabel = 'quarterdeck.dev/org';
export const projectLabel = 'quarterdeck.dev/project';

const keptMs = 30_000;
const staleMs = 600_000;

const failed = (what: string, reason?: 'unreachable', cause?: unknown): PlatformError =>
  new PlatformError('secret_unavailable', what, { cause, ...(reason ? { facts: { reason } } : {}) });

/** The client is large, so it is loaded when the first Secret is asked for. */
const connect = async (settings: KubernetesSettings) => {
  const { CoreV1Api, KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if ('kubeconfig' in settings) config.loadFromFile(settings.kubeconfig);
  else
    config.loadFromClusterAndUser(
      { name: 'here', server: settings.server, caFile: settings.caFile, skipTLSVerify: false },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile: settings.tokenFile } } },
    );
  return config.makeApiClient(CoreV1Api);
};

const explain = (error: unknown, place: string): PlatformError => {
  const { code } = error as { code?: unknown };
  if (code === 404) return failed(`There is no Kubernetes Secret ${place}.`);
  if (code === 401 || code === 403)
    return failed(`The cluster does not let Quarterdeck read the Secret ${place} (${code}); give its service account \`get\` on it.`);
  return failed(`The Kubernetes API server does not answer for the Secret ${place}.`, 'unreachable', error);
};

/** Reads keys of Kubernetes Secrets that are labelled for the tenant; kept for half a minute. */
export const createKubernetesSecrets = (settings: KubernetesSettings, now: () => number = Date.now) => {
  let api: ReturnType<typeof connect> | undefined;
  const kept = createKeptValues<Secret>({ ttlMs: keptMs, staleMs, now });
  const placeOf = ({ namespace, secret }: KubernetesReference) => ({ namespace: namespace ?? settings.namespace, name: secret });
  const keyOf = (reference: KubernetesReference): string => Object.values(placeOf(reference)).join('/');

  const load = async (reference: KubernetesReference): Promise<Secret> => {
    api ??= connect(settings);
    try {
      const { metadata, data } = await (await api).readNamespacedSecret(placeOf(reference));
      return { labels: metadata?.labels ?? {}, data: data ?? {} };
    } catch (error) {
      api = undefined; // another kubeconfig may be there by the next time
      throw explain(error, keyOf(reference));
    }
  };

  return {
    /** @throws {PlatformError} `secret_unavailable` */
    read: async (reference: KubernetesReference, { org, project }: Tenancy): Promise<string> => {
      const { labels, data } = await kept.get(keyOf(reference), () => load(reference));
      if (labels[orgLabel] !== org || (labels[projectLabel] ?? project) !== project)
        throw failed(
          `The Kubernetes Secret ${keyOf(reference)} is not labelled for ${org}/${project}: it needs \`${orgLabel}: ${org}\`, and no other project in \`${projectLabel}\`.`,
        );
      const value = Object.hasOwn(data, reference.key)
        ? Buffer.from(data[reference.key] ?? '', 'base64')
            .toString()
            .trim()
        : '';
      if (value === '') throw failed(`The Kubernetes Secret ${keyOf(reference)} has no text under the key ${reference.key}.`);
      return value;
    },
    forget: (reference: KubernetesReference): void => kept.forget(keyOf(reference)),
  };
};
export type KubernetesSecrets = ReturnType<typeof createKubernetesSecrets>;
