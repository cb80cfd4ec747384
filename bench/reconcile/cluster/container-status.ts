import { createHash } from 'node:crypto';
import type { ProgramFacts } from './program-facts.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of Kubernetes are looked at field by field
export type KubeObject = any;

/** What lies around a pod. `mayAsk` asks the API server itself; `facts` is empty where the image was not pulled. */
export type PodPlace = {
  secrets: ReadonlyMap<string, KubeObject>;
  policies: readonly KubeObject[];
  facts: (image: string) => ProgramFacts | undefined;
  /** Whether this pod has the image already: it is not pulled twice. */
  isPulled: (image: string) => boolean;
  mayAsk: (ask: NonNullable<ProgramFacts['asks']>[number]) => boolean;
};

const mebibytes = (quantity: string): number => {
  const [, number = '0', unit = ''] = /^([\d.]+)(\D*)$/.exec(quantity) ?? [];
  return (Number(number) * ({ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, k: 1e3, M: 1e6, G: 1e9 }[unit] ?? 1)) / 2 ** 20;
};

const isSubset = (part: Record<string, string> = {}, whole: Record<string, string> = {}): boolean =>
  Object.entries(part).every(([name, value]) => whole[name] === value);

/** Whether the policies that select a pod let it reach a port; without one of egress it reaches all. */
const mayReach = (pod: KubeObject, port: number, { policies }: PodPlace): boolean => {
  const selecting = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.metadata.namespace &&
      spec.policyTypes?.includes('Egress') &&
      isSubset(spec.podSelector.matchLabels, pod.metadata.labels),
  );
  const rules = selecting.flatMap(({ spec }) => spec.egress ?? []);
  return selecting.length === 0 || rules.some(({ ports }) => !ports || ports.some((one: KubeObject) => one.port === port));
};

const missingKey = (pod: KubeObject, container: KubeObject, { secrets }: PodPlace): string | undefined => {
  for (const { valueFrom } of container.env ?? []) {
    const from = valueFrom?.secretKeyRef;
    if (!from || from.optional) continue;
    const secret = secrets.get(`${pod.metadata.namespace}/${from.name}`);
    if (!secret) return `secret "${from.name}" not found`;
    if (!(from.key in (secret.data ?? {}))) return `couldn't find key ${from.key} in Secret ${pod.metadata.namespace}/${from.name}`;
  }
  return undefined;
};

/** Passwords that the pull secrets of a pod hold. */
const passwordsOf = (pod: KubeObject, { secrets }: PodPlace): string[] =>
  (pod.spec.imagePullSecrets ?? []).flatMap(({ name }: KubeObject) => {
    const text = secrets.get(`${pod.metadata.namespace}/${name}`)?.data?.['.dockerconfigjson'];
    if (!text) return [];
    const { auths = {} } = JSON.parse(Buffer.from(text, 'base64').toString());
    return Object.values(auths).map((auth) => String((auth as KubeObject).password));
  });

const waiting = (reason: string, message: string) => ({
  ready: false,
  started: false,
  restartCount: 0,
  state: { waiting: { reason, message } },
});
const crashing = (reason: string, exitCode: number, message?: string) => ({
  ...waiting('CrashLoopBackOff', `back-off 10s restarting failed container${message ? `: ${message}` : ''}`),
  restartCount: 3,
  lastState: { terminated: { exitCode, reason, ...(message ? { message } : {}) } },
});

/** How a kubelet would find one container, from what the pod says, what is around it, and what its program is like. */
export const containerStatus = (pod: KubeObject, container: KubeObject, place: PodPlace) => {
  const { name, image } = container;
  const named = { name, image, imageID: '' };
  const facts = place.facts(image);
  if (!facts) return { ...named, ...waiting('ImagePullBackOff', `Back-off pulling image "${image}": not found`) };
  if (!place.isPulled(image) && facts.password !== undefined && !passwordsOf(pod, place).includes(facts.password))
    return { ...named, ...waiting('ImagePullBackOff', `Back-off pulling image "${image}": unexpected status code 401 Unauthorized`) };
  const missing = missingKey(pod, container, place);
  if (missing) return { ...named, ...waiting('CreateContainerConfigError', missing) };
  const limit = container.resources?.limits?.memory;
  if (limit && facts.memoryMi && mebibytes(limit) < facts.memoryMi) return { ...named, ...crashing('OOMKilled', 137) };
  const closed = facts.dials?.find((port) => !mayReach(pod, port, place));
  if (closed !== undefined) {
    const what = closed === 53 ? 'lookup upstream.example on 10.0.0.10:53' : `dial tcp upstream.example:${closed}`;
    return { ...named, ...crashing('Error', 1, `${what}: i/o timeout`) };
  }
  const refused = facts.asks?.find((ask) => !place.mayAsk(ask));
  if (refused) {
    const { verb, group, resource } = refused;
    const who = `system:serviceaccount:${pod.metadata.namespace}:${pod.spec.serviceAccountName ?? 'default'}`;
    const said = `${resource} is forbidden: User "${who}" cannot ${verb} resource "${resource}" in API group "${group}" in the namespace "${pod.metadata.namespace}"`;
    return { ...named, ...crashing('Error', 1, said) };
  }
  const probe = container.readinessProbe?.httpGet ?? container.readinessProbe?.tcpSocket;
  const byName = container.ports?.find((port: KubeObject) => port.name === probe?.port)?.containerPort;
  const ready = probe === undefined || facts.port === undefined || (byName ?? probe.port) === facts.port;
  return { ...named, ready, started: true, restartCount: 0, state: { running: { startedAt: pod.metadata.creationTimestamp } } };
};

/** An address of its own for each pod: endpoints of one address are one endpoint. */
const addressOf = (uid: string): string => {
  const bytes = createHash('sha256').update(uid).digest();
  return `10.${bytes[0]}.${bytes[1]}.${1 + ((bytes[2] as number) % 254)}`;
};

export const podStatus = (pod: KubeObject, place: PodPlace) => {
  const containerStatuses: KubeObject[] = pod.spec.containers.map((container: KubeObject) => containerStatus(pod, container, place));
  const podIP = addressOf(pod.metadata.uid);
  const ready = containerStatuses.every((one) => one.ready && 'running' in one.state);
  const unready = containerStatuses.filter((one) => !one.ready).map(({ name }) => name);
  const condition = (type: string, status: boolean, message = '') => ({
    type,
    status: status ? 'True' : 'False',
    lastTransitionTime: pod.metadata.creationTimestamp,
    ...(status || message === '' ? {} : { reason: 'ContainersNotReady', message }),
  });
  return {
    phase: containerStatuses.some(({ restartCount, state }) => restartCount > 0 || 'running' in state) ? 'Running' : 'Pending',
    podIP,
    podIPs: [{ ip: podIP }],
    conditions: [
      condition('Initialized', true),
      condition('PodScheduled', true),
      condition('ContainersReady', ready, `containers with unready status: [${unready.join(' ')}]`),
      condition('Ready', ready, `containers with unready status: [${unready.join(' ')}]`),
    ],
    containerStatuses,
  };
};
