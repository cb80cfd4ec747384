import { afterAll, afterEach, beforeAll } from 'vitest';
import { createKubernetesTarget } from '../../activities/targets/kubernetes-target.ts';
import { createLook, type LookMemory } from '../../control/controller/look-at-target.ts';
import { createTargetView } from '../../control/controller/target-view.ts';
import type { TargetOf, TargetPort } from '../../reconcile/target-port.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import type { TargetKey } from '../../store/reconcile-targets.ts';
import { findResource } from '../../store/resources.ts';
import { startKubeCluster, writesIn } from './kube-cluster.ts';
import { startKubeFaultProxy } from './kube-fault-proxy.ts';
import { images } from './kube-target.ts';
import { pollUntil } from './poll-until.ts';
import { startReconcilePlace } from './reconcile-place.ts';

/**
 * The reconciler as a worker runs it, over a real cluster: real API server and controllers, real rows and policies, a real Temporal server.
 * What it asks of the API server goes through `proxy`, which may spoil it; what people do goes past it.
 * @param options.images - what can be pulled, and what the program in it is like; may be changed
 */
export const startClusterReconcilePlace = async ({
  database,
  images,
  ...more
}: {
  database: Database;
  images: Parameters<typeof startKubeCluster>[0];
} & Omit<Parameters<typeof startReconcilePlace>[0], 'database' | 'over'>) => {
  const cluster = await startKubeCluster(images);
  const proxy = await startKubeFaultProxy(cluster);
  const kubeconfig = cluster.reconcilerKubeconfig('loop.kubeconfig', proxy.url);
  const adapter = createKubernetesTarget({ secrets: { environment: {} } });
  const place = await startReconcilePlace({ database, over: adapter, ...more });
  const memories = new Map<string, LookMemory>();

  return {
    ...{ cluster, proxy, adapter, place, kubeconfig, images },
    /** A namespace, and a target of its name that keeps manifests in it. A program may take its time to come up on a busy machine. */
    declare: async (name: string, manifests: object[], spec: object = {}): Promise<void> => {
      await cluster.openNamespace(name);
      await place.declare(name, {
        ...{ namespace: name, cluster: { kubeconfig: { file: kubeconfig } }, manifests },
        ...{ verification: { timeoutSeconds: 120, holdSeconds: 0 }, limits: { cooldownSeconds: 0, fixesPerHour: 1000 }, ...spec },
      });
    },
    /** One run of the target's workflow, to its end. */
    run: async (name: string): Promise<void> => {
      await place.start(name);
      await place.ended(name);
    },
    /** Runs until all is as declared, and well. An hour passes, so that what is made here counts among no later changes. */
    untilClean: async (name: string): Promise<void> => {
      await pollUntil(
        async () => {
          await place.start(name);
          await place.ended(name);
          return (await place.rowOf(name))?.phase === 'clean' ? true : undefined;
        },
        `${name} to be clean`,
        120_000,
      ).catch(async ({ message }) => {
        throw new Error(`${message}: ${JSON.stringify([await place.rowOf(name), await place.fixesOf(name)]).slice(0, 3000)}`);
      });
      place.time.offsetMs += 2 * 3_600_000;
    },
    /** The fix that waits for people, whatever was mended before it. */
    untilAsked: (name: string) =>
      pollUntil(
        async () => (await place.fixesOf(name)).find(({ state }) => state === 'awaiting-approval'),
        `${name} to wait for people`,
        120_000,
      ),
    /** One look of the controller, as at each interval. @returns what it started */
    look: async (name: string): Promise<TargetKey[]> => {
      const starts: TargetKey[] = [];
      const look = createLook({
        ...{ database, clock: place.clock, digest: place.contents.digestOf },
        views: createTargetView({ database, clock: place.clock, maxAgeMs: 0 }),
        startReconcile: async (key) => void starts.push(key),
      });
      const memory = memories.get(name) ?? { about: '', toldAt: 0 };
      memories.set(name, memory);
      const found = await findResource(database, { ...defaultTenancy, kind: 'ReconcileTarget', name });
      if (!found) throw new Error(`${name} is not declared`);
      const { generation, spec } = found;
      const target = { ...defaultTenancy, name, generation, spec } as TargetOf;
      await look(target, adapter as unknown as TargetPort, memory, AbortSignal.timeout(120_000));
      return starts;
    },
    /** What was written to a namespace, and was not refused by what stands in front of the API server: verb and name, in their order. */
    writes: (name: string): string[] =>
      writesIn(cluster.audit()).flatMap(({ verb, objectRef, responseStatus }) =>
        objectRef?.namespace === name && responseStatus.code < 300 ? [`${verb} ${objectRef.name}`] : [],
      ),
    close: async (): Promise<void> => {
      await place.stop();
      await place.close();
      await adapter.close();
      await proxy.close();
      await cluster.close();
    },
  };
};
export type ClusterReconcilePlace = Awaited<ReturnType<typeof startClusterReconcilePlace>>;

/** Gives a test file one such place for as long as its tests run, of which nothing is spoiled when a test begins. */
export const useClusterReconcilePlace = (database: () => Database): (() => ClusterReconcilePlace) => {
  let place: ClusterReconcilePlace | undefined;
  const started = (): ClusterReconcilePlace => {
    if (!place) throw new Error('the place is there when the tests run');
    return place;
  };
  beforeAll(async () => {
    place = await startClusterReconcilePlace({ database: database(), images: { ...images } });
  });
  afterEach(() => started().proxy.set(() => 'pass'));
  afterAll(() => place?.close());
  return started;
};
