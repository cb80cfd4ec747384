import { setTimeout as sleep } from 'node:timers/promises';
import { type KubeObject, type PodPlace, podStatus } from './container-status.ts';
import type { Images, ProgramFacts } from './program-facts.ts';
import type { KubeApiServer } from './start-api-server.ts';

type Ask = NonNullable<ProgramFacts['asks']>[number];

const betweenLooksMs = 150;

/**
 * Plays the kubelets of the nodes: each pod that was given to one gets the status that its spec, the secrets, policies and rights around it
 * and the images come to, whoever wrote them. It knows of no fault, only of what is there. An operator's finalizer is taken away while a pod
 * of that operator is ready, and by nothing else.
 * @param images - looked up at each look: what is taken out of it is no longer to be had, but where it was pulled it stays
 */
export const startKubelets = ({ send }: Pick<KubeApiServer, 'send'>, images: Images) => {
  const stopped = new AbortController();
  const written = new Map<string, string>();
  const pulled = new Map<string, Map<string, ProgramFacts>>();
  const list = async (path: string) => ((await send('GET', path)).items ?? []) as KubeObject[];

  /** Asked of the API server, as of the pod's own service account. */
  const findRefused = async (pod: KubeObject): Promise<ReadonlySet<Ask>> => {
    const { namespace } = pod.metadata;
    const asks = pod.spec.containers.flatMap(({ image }: KubeObject): readonly Ask[] => images[image]?.asks ?? []);
    const refused = new Set<Ask>();
    for (const ask of asks) {
      const user = `system:serviceaccount:${namespace}:${pod.spec.serviceAccountName ?? 'default'}`;
      const spec = { user, resourceAttributes: { namespace, ...ask } };
      const { status } = await send('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec });
      if (!status.allowed) refused.add(ask);
    }
    return refused;
  };

  /** A finalizer is served while its operator has a pod that is ready, and somebody waits. */
  const serveFinalizer = async (finalizer: string, namespace: string): Promise<void> => {
    const path = `/apis/bench.quarterdeck.dev/v1/namespaces/${namespace}/toolhosts`;
    for (const { metadata } of await list(path)) {
      const held: string[] = metadata.finalizers ?? [];
      const isThere = held.includes(finalizer);
      const finalizers = metadata.deletionTimestamp ? held.filter((one) => one !== finalizer) : [...held, finalizer];
      if (isThere === Boolean(metadata.deletionTimestamp))
        await send(
          'PATCH',
          `${path}/${metadata.name}?fieldManager=toolhost-operator`,
          { metadata: { finalizers } },
          'application/merge-patch+json',
        );
    }
  };

  const look = async (): Promise<void> => {
    const [pods, secrets, policies] = await Promise.all([
      list('/api/v1/pods'),
      list('/api/v1/secrets'),
      list('/apis/networking.k8s.io/v1/networkpolicies'),
    ]);
    const byName = new Map(secrets.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one]));
    const served = new Map<string, [finalizer: string, namespace: string]>();
    for (const pod of pods) {
      const { namespace, name, uid, deletionTimestamp } = pod.metadata;
      if (!pod.spec.nodeName) continue;
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      if (deletionTimestamp) {
        await send('DELETE', path, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(() => undefined);
        pulled.delete(uid);
        continue;
      }
      const own = pulled.get(uid) ?? new Map<string, ProgramFacts>();
      pulled.set(uid, own);
      const refused = await findRefused(pod);
      const place: PodPlace = {
        secrets: byName,
        policies,
        facts: (image) => images[image] ?? own.get(image),
        isPulled: (image) => own.has(image),
        mayAsk: (ask) => !refused.has(ask),
      };
      const status = podStatus(pod, place);
      for (const one of status.containerStatuses) {
        const facts = images[one.image];
        const isUp = 'running' in one.state;
        if (facts && isUp) own.set(one.image, facts);
        if (facts?.finalizer && one.ready) served.set(`${namespace} ${facts.finalizer}`, [facts.finalizer, namespace]);
      }
      if (written.get(uid) === JSON.stringify(status)) continue;
      const done = await send('PATCH', `${path}/status`, { status }, 'application/merge-patch+json').catch(() => undefined);
      if (done) written.set(uid, JSON.stringify(status));
    }
    for (const [finalizer, namespace] of served.values()) await serveFinalizer(finalizer, namespace);
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      await look().catch(() => undefined); // the API server is away, as tests have it
      await sleep(betweenLooksMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
};
