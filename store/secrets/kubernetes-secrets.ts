import type { RequestContext, ResponseContext } from '@kubernetes/client-node';
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
/** An API server that accepts and says nothing must not hold a call for as long as the client library would. */
const deadlineMs = 5_000;
const retryAfterSeconds = 5;

const failed = (what: string, cause?: unknown): PlatformError => new PlatformError('secret_unavailable', what, { cause });

/** The client is large, so it is loaded when the first Secret is asked for. */
const connect = async (settings: KubernetesSettings) => {
  const { CoreV1Api, createConfiguration, KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if ('kubeconfig' in settings) config.loadFromFile(settings.kubeconfig);
  else
    config.loadFromClusterAndUser(
      { name: 'here', server: settings.server, caFile: settings.caFile, skipTLSVerify: false },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile: settings.tokenFile } } },
    );
  const api = config.makeApiClient(CoreV1Api);
  const deadline = {
    pre: async (context: RequestContext) => {
      context.setSignal(AbortSignal.timeout(deadlineMs));
      return context;
    },
    post: async (response: ResponseContext) => response,
  };
  const { middleware } = createConfiguration({ promiseMiddleware: [deadline] });
  return (place: { name: string; namespace: string }) =>
    api.readNamespacedSecret(place, { middleware: [...middleware], middlewareMergeStrategy: 'append' });
};

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

const explain = (error: unknown, { name, namespace }: { name: string; namespace: string }): PlatformError => {
  const place = `${namespace}/${name}`;
  const refused = `The cluster does not let Quarterdeck read the Secret ${place} (${codeOf(error)})`;
  switch (codeOf(error)) {
    case 404:
      return failed(`There is no Kubernetes Secret ${place}.`);
    case 403:
      return failed(`${refused}; a Role must give its service account \`get\` on \`secrets\` named ${name} in the namespace ${namespace}.`);
    case 401:
      return failed(`${refused}: its token is not, or no longer, known there; check the kubeconfig, or the token file of the pod.`);
    default:
      return new PlatformError(
        'secret_unavailable',
        `The Kubernetes API server does not answer for the Secret ${place}; try again in ${retryAfterSeconds} s.`,
        { cause: error, facts: { reason: 'unreachable', retryAfterSeconds } },
      );
  }
};

/** Reads keys of Kubernetes Secrets that are labelled for the tenant; kept for half a minute. */
export const createKubernetesSecrets = (settings: KubernetesSettings, now: () => number = Date.now) => {
  let connection: ReturnType<typeof connect> | undefined;
  const kept = createKeptValues<Secret>({ ttlMs: keptMs, staleMs, now });
  const placeOf = ({ namespace, secret }: KubernetesReference) => ({ namespace: namespace ?? settings.namespace, name: secret });
  const keyOf = (reference: KubernetesReference): string => Object.values(placeOf(reference)).join('/');

  const ask = async (reference: KubernetesReference) => {
    connection ??= connect(settings);
    try {
      return await (await connection)(placeOf(reference));
    } catch (error) {
      connection = undefined; // another kubeconfig, or token, may be there by the next time
      throw error;
    }
  };

  const load = async (reference: KubernetesReference): Promise<Secret> => {
    try {
      const { metadata, data } = await ask(reference).catch((error) => {
        // the library keeps a token for a minute, and the kubelet may have put another into the file since
        if (codeOf(error) === 401) return ask(reference);
        throw error;
      });
      return { labels: metadata?.labels ?? {}, data: data ?? {} };
    } catch (error) {
      throw explain(error, placeOf(reference));
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
