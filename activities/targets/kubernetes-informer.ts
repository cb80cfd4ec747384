import { createInterface } from 'node:readline';
import { KubernetesFailure, type KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection } from './kubernetes-connection.ts';
import { createKubernetesIndex, type KubernetesIndex } from './kubernetes-index.ts';
import { listAll } from './kubernetes-lists.ts';
import { pauseMs, type WatchTiming } from './kubernetes-watch.ts';

/** One kind in one namespace; `labelSelector` and `fieldSelector` narrow it. */
export type Place = { apiVersion: string; kind: string; namespace: string; query: Record<string, string> };

/** Told of each object that changed or went; of nothing where all may have changed. */
export type Hear = (object?: KubernetesObject) => void;

/** A watch that ended sooner than this was cut rather than over. */
const shortMs = 1000;

/**
 * Keeps one list of a cluster up to date for all who look at it: listed, followed by a watch, and listed anew after the interval, so that
 * what a watch has lost is found. While it cannot be listed, whoever asks is told so, never what was there before.
 * @param intervalMs - asked before each list
 */
export const startKubernetesInformer = ({
  place,
  connection,
  intervalMs,
  timing: { random, pause },
}: {
  place: Place;
  connection: KubernetesConnection;
  intervalMs: () => number;
  timing: WatchTiming;
}) => {
  const index = createKubernetesIndex();
  const listeners = new Set<Hear>();
  const closing = new AbortController();
  const { signal } = closing;
  let failure: KubernetesFailure | undefined;
  let isRead = false;
  let first = Promise.withResolvers<void>();

  const tell: Hear = (object) => {
    for (const hear of listeners) hear(object);
  };

  const list = async (path: string): Promise<string> => {
    const { items, resourceVersion } = await listAll(connection.client, path, signal, place.query);
    const changed = index.replace(items);
    const isNews = !isRead || failure !== undefined;
    isRead = true;
    failure = undefined;
    first.resolve();
    if (isNews) tell();
    else changed.forEach(tell);
    return resourceVersion;
  };

  /** Until the time for the next list has come, or the watch is lost. @returns whether it lasted */
  const follow = async (path: string, from: string): Promise<boolean> => {
    // a tenth more or less, so that lists of many kinds do not meet for ever
    const seconds = Math.max(1, Math.round((intervalMs() * (0.9 + 0.2 * random())) / 1000));
    const beganMs = performance.now();
    const body = await connection.client.openStream({
      path,
      query: { ...place.query, watch: 'true', timeoutSeconds: String(seconds), resourceVersion: from },
      signal: AbortSignal.any([signal, AbortSignal.timeout((seconds + 30) * 1000)]),
    });
    try {
      for await (const line of createInterface({ input: body })) {
        const { type, object } = JSON.parse(line);
        if (type === 'ERROR') return object?.code === 410; // too old: the next list begins anew
        if (type === 'DELETED' ? index.remove(object) : index.put(object)) tell(object);
      }
    } finally {
      body.destroy();
    }
    return performance.now() - beganMs >= Math.min(shortMs, seconds * 900);
  };

  const run = async (): Promise<void> => {
    for (let failures = 0; !signal.aborted; ) {
      let askedMs = 0;
      try {
        const path = await connection.resources.listPath(place.apiVersion, place.kind, place.namespace, signal);
        const version = await list(path);
        const hasLasted = await follow(path, version).catch(() => false);
        failures = hasLasted ? 0 : failures + 1;
      } catch (error) {
        if (signal.aborted) return;
        const wasWell = failure === undefined;
        failure = error instanceof KubernetesFailure ? error : new KubernetesFailure(0, 'Unreadable', (error as Error).message);
        askedMs = failure.retryAfterMs;
        failures += 1;
        first.reject(failure);
        first.promise.catch(() => undefined);
        first = Promise.withResolvers();
        if (wasWell && isRead) tell();
      }
      if (failures > 0) {
        // never longer than the interval: a cluster that is back is seen within one
        const pausedMs = askedMs + Math.min(pauseMs(failures, random), intervalMs());
        await pause(pausedMs, signal).catch(() => undefined);
      }
    }
  };
  void run();

  return {
    listeners,
    isWell: (): boolean => isRead && failure === undefined,
    /** @throws {KubernetesFailure} while it cannot be listed */
    read: async (asked: AbortSignal): Promise<KubernetesIndex> => {
      if (failure) throw failure;
      if (!isRead) {
        const aborted = Promise.withResolvers<never>();
        const stop = () => aborted.reject(asked.reason);
        asked.addEventListener('abort', stop);
        await Promise.race([first.promise, aborted.promise]).finally(() => asked.removeEventListener('abort', stop));
      }
      return index;
    },
    close: (): void => closing.abort(),
  };
};
export type KubernetesInformer = ReturnType<typeof startKubernetesInformer>;
