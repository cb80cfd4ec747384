import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeApiServer } from './kube-api-server.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes are looked at field by field
type KubeObject = any;

/** What the program in an image is like: the port it listens on, the memory it needs, the ports it has to reach. An image that is not listed cannot be pulled. */
export type ImageFacts = { port?: number; memoryMi?: number; dials?: readonly number[] };
export type Images = Readonly<Record<string, ImageFacts>>;

const mebibytes = (quantity: string): number => {
  const [, number = '0', unit = ''] = /^([\d.]+)(\D*)$/.exec(quantity) ?? [];
  return (Number(number) * ({ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, k: 1e3, M: 1e6, G: 1e9 }[unit] ?? 1)) / 2 ** 20;
};

type Place = { secrets: Map<string, KubeObject>; policies: KubeObject[] };

/** Whether the policies that select a pod let it reach a port; without one of egress it reaches all. */
const mayReach = (pod: KubeObject, port: number, { policies }: Place): boolean => {
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.metadata.namespace &&
      spec.policyTypes?.includes('Egress') &&
      Object.entries(spec.podSelector.matchLabels ?? {}).every(([name, value]) => pod.metadata.labels?.[name] === value),
  );
  const rules = selecting.flatMap(({ spec }) => spec.egress ?? []);
  return selecting.length === 0 || rules.some(({ ports }) => !ports || ports.some((one: KubeObject) => one.port === port));
};

const missingKey = (pod: KubeObject, container: KubeObject, { secrets }: Place): string | undefined => {
  for (const { valueFrom } of container.env ?? []) {
    const from = valueFrom?.secretKeyRef;
    if (!from || from.optional) continue;
    const secret = secrets.get(`${pod.metadata.namespace}/${from.name}`);
    if (!secret) return `secret "${from.name}" not found`;
    if (!(from.key in (secret.data ?? {}))) return `couldn't find key ${from.key} in Secret ${pod.metadata.namespace}/${from.name}`;
  }
  return undefined;
};

const waiting = (reason: string, message: string) => ({
  ready: false,
  started: false,
  restartCount: 0,
  state: { waiting: { reason, message } },
});

/** How a kubelet would find one container, from what the pod says and the image is like. */
const containerStatus = (pod: KubeObject, container: KubeObject, images: Images, place: Place) => {
  const facts = images[container.image];
  const named = { name: container.name, image: container.image, imageID: '' };
  if (!facts) return { ...named, ...waiting('ImagePullBackOff', `Back-off pulling image "${container.image}": not found`) };
  const missing = missingKey(pod, container, place);
  if (missing) return { ...named, ...waiting('CreateContainerConfigError', missing) };
  const limit = container.resources?.limits?.memory;
  if (limit && facts.memoryMi && mebibytes(limit) < facts.memoryMi) {
    const killed = { terminated: { exitCode: 137, reason: 'OOMKilled' } };
    return { ...named, ...waiting('CrashLoopBackOff', 'back-off restarting failed container'), restartCount: 3, lastState: killed };
  }
  if (facts.dials?.some((port) => !mayReach(pod, port, place))) {
    const ended = { terminated: { exitCode: 1, reason: 'Error', message: 'dial: i/o timeout' } };
    return { ...named, ...waiting('CrashLoopBackOff', 'back-off restarting failed container'), restartCount: 3, lastState: ended };
  }
  const probe = container.readinessProbe?.httpGet ?? container.readinessProbe?.tcpSocket;
  const named_ = container.ports?.find(({ name }: KubeObject) => name === probe?.port)?.containerPort;
  const ready = probe === undefined || facts.port === undefined || (named_ ?? probe.port) === facts.port;
  return { ...named, ready, started: true, restartCount: 0, state: { running: { startedAt: pod.metadata.creationTimestamp } } };
};

const statusOf = (pod: KubeObject, images: Images, place: Place) => {
  const containerStatuses = pod.spec.containers.map((container: KubeObject) => containerStatus(pod, container, images, place));
  const isUp = containerStatuses.every(({ state }: KubeObject) => 'running' in state);
  const ready = isUp && containerStatuses.every((one: KubeObject) => one.ready);
  const condition = (type: string, status: boolean) => ({
    type,
    status: status ? 'True' : 'False',
    lastTransitionTime: pod.metadata.creationTimestamp,
  });
  return {
    phase: containerStatuses.some(({ restartCount, state }: KubeObject) => restartCount > 0 || 'running' in state) ? 'Running' : 'Pending',
    podIP: '10.1.0.1',
    podIPs: [{ ip: '10.1.0.1' }],
    conditions: [
      condition('Initialized', true),
      condition('PodScheduled', true),
      condition('ContainersReady', ready),
      condition('Ready', ready),
    ],
    containerStatuses,
  };
};

/**
 * Plays the kubelets of the nodes: each pod that was given to one gets the status that its spec, the secrets and policies around it and the
 * images come to, whoever wrote them. It knows of no fault, only of what is there.
 */
export const startKubelets = ({ send }: Pick<KubeApiServer, 'send'>, images: Images) => {
  const stopped = new AbortController();
  const written = new Map<string, string>();
  const list = async (path: string) => ((await send('GET', path)).items ?? []) as KubeObject[];

  const look = async (): Promise<void> => {
    const [pods, secrets, policies] = await Promise.all([
      list('/api/v1/pods'),
      list('/api/v1/secrets'),
      list('/apis/networking.k8s.io/v1/networkpolicies'),
    ]);
    const place = { secrets: new Map(secrets.map((one) => [`${one.metadata.namespace}/${one.metadata.name}`, one])), policies };
    for (const pod of pods) {
      const { namespace, name, uid, deletionTimestamp } = pod.metadata;
      if (!pod.spec.nodeName) continue;
      const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
      if (deletionTimestamp) {
        await send('DELETE', path, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(() => undefined);
        continue;
      }
      const status = statusOf(pod, images, place);
      if (written.get(uid) === JSON.stringify(status)) continue;
      const done = await send('PATCH', `${path}/status`, { status }, 'application/merge-patch+json').catch(() => undefined);
      if (done) written.set(uid, JSON.stringify(status));
    }
  };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      await look().catch(() => undefined); // the API server is away, as tests have it
      await sleep(150, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
};
