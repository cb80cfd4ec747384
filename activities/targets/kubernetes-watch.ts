import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubernetesFailure } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import type { KubernetesConnections } from './kubernetes-connections.ts';
import { declaredOf, namespacesOf } from './kubernetes-manifests.ts';

type Place = { apiVersion: string; kind: string; namespace: string };

const firstPauseMs = 1000;
const longestPauseMs = 60_000;
/** The server ends a watch after so long; then it is taken up where it was. */
const watchSeconds = 240;

/** How the waiting is done; tests have their own. */
export type WatchTiming = { random: () => number; pause: (ms: number, signal: AbortSignal) => Promise<void> };
export const realTiming: WatchTiming = {
  random: Math.random,
  pause: async (ms, signal) => void (await sleep(ms, undefined, { signal, ref: false })),
};

/** Full jitter: those that lost one server together do not come back together. */
export const pauseMs = (failures: number, random: () => number, askedMs = 0): number =>
  askedMs + random() * Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures, 10));

const placesOf = (target: KubernetesTarget): Place[] => {
  const set = declaredOf(target);
  const kinds = new Map([['v1/Pod', { apiVersion: 'v1', kind: 'Pod' }]]);
  for (const { ref } of set.ok ? set.declared : [])
    kinds.set(`${ref.apiVersion}/${ref.kind}`, { apiVersion: ref.apiVersion, kind: ref.kind });
  return namespacesOf(target).flatMap((namespace) => [...kinds.values()].map((kind) => ({ ...kind, namespace })));
};

/**
 * Watches each kind of a target. A watch that ends is taken up at the version that it had reached; one that is too old (410) or was lost
 * begins anew, and then something may have changed. Between tries it waits, longer each time.
 */
export const createKubernetesWatch = (connections: KubernetesConnections, { random, pause }: WatchTiming = realTiming) => {
  /** @returns the version that was reached, or nothing where a new list is needed */
  const follow = async (
    { client }: KubernetesConnection,
    path: string,
    from: string,
    seen: () => void,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    let version = from;
    const query = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(watchSeconds), resourceVersion: from };
    const body = await client.openStream({
      path,
      query,
      signal: AbortSignal.any([signal, AbortSignal.timeout((watchSeconds + 30) * 1000)]),
    });
    for await (const line of createInterface({ input: body })) {
      const { type, object } = JSON.parse(line);
      if (type === 'ERROR') {
        if (object?.code === 410) return undefined;
        throw new KubernetesFailure(Number(object?.code ?? 0), String(object?.reason ?? ''), String(object?.message ?? 'the watch failed'));
      }
      version = object.metadata.resourceVersion;
      if (type !== 'BOOKMARK') seen();
    }
    return version;
  };

  const watchPlace = async (target: KubernetesTarget, { apiVersion, kind, namespace }: Place, changed: () => void, signal: AbortSignal) => {
    let version: string | undefined;
    let isFirst = true;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const connection = await connections.of(target);
        const path = await connection.resources.listPath(apiVersion, kind, namespace, signal);
        if (version === undefined) {
          const { metadata } = await connection.client.send({ path, query: { limit: '1' }, signal });
          version = String(metadata.resourceVersion);
          if (!isFirst) changed();
          isFirst = false;
        }
        version = await follow(connection, path, version, changed, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        const failure = error instanceof KubernetesFailure ? error : undefined;
        if (failure?.status === 410) version = undefined;
        failures += 1;
        await pause(pauseMs(failures, random, failure?.retryAfterMs), signal).catch(() => undefined);
      }
    }
  };

  return (target: KubernetesTarget, changed: () => void, signal: AbortSignal): void => {
    for (const place of placesOf(target)) void watchPlace(target, place, changed, signal);
  };
};
