import type { Health, Symptom } from '../../schema/reconcile/observation.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import { type OwnHealth, ownHealth } from './kubernetes-health.ts';
import { gatherSymptoms, isPodReady, podSymptoms, symptom } from './kubernetes-pod-symptoms.ts';

/** What lies beside the declared objects and says whether they are well. */
export type Neighbourhood = {
  pods: readonly KubernetesObject[];
  events: readonly KubernetesObject[];
  slices: readonly KubernetesObject[];
};

/** Symptoms with which a thing does not come up by waiting. */
const severe =
  /^(ImagePullBackOff|InvalidImageName|CrashLoopBackOff|OOMKilled|CreateContainerConfigError|CreateContainerError|RunContainerError|Error|Unschedulable|FailedMount|FailedCreate|QuotaExceeded|ProvisioningFailed|NoEndpoints|NotReady|PodFailed|Evicted)$/;
/** Events are kept for an hour; an old one says nothing of now. */
const freshMs = 600_000;

const reasonOf: Readonly<Record<string, string>> = { FailedScheduling: 'Unschedulable', FailedAttachVolume: 'FailedMount' };
/** Reasons that container states say better. */
const saidElsewhere = new Set(['BackOff', 'Failed', 'ErrImagePull']);

const isFresh = ({ lastTimestamp, eventTime, series, metadata }: KubernetesObject, nowMs: number): boolean =>
  nowMs - Date.parse(series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp) < freshMs;

const eventSymptoms = (events: readonly KubernetesObject[], uids: ReadonlySet<string>, nowMs: number): Symptom[] =>
  events
    .filter(({ type, reason, involvedObject }) => type === 'Warning' && !saidElsewhere.has(reason) && uids.has(involvedObject?.uid))
    .filter((event) => isFresh(event, nowMs))
    .map(({ reason, message, count }) =>
      symptom(/exceeded quota/.test(message) ? 'QuotaExceeded' : (reasonOf[reason] ?? reason), message, count ?? 1),
    );

export const isSubset = (part: Record<string, string>, whole: Record<string, string> = {}): boolean =>
  Object.entries(part).every(([name, value]) => whole[name] === value);

/** The labels by which a workload or a Service finds its pods; nothing where it names none. */
export const selectorOf = ({ kind, spec }: KubernetesObject): Record<string, string> | undefined => {
  const labels = kind === 'Service' ? spec?.selector : spec?.selector?.matchLabels;
  return labels && Object.keys(labels).length > 0 ? labels : undefined;
};

/** Pods of a workload or a Service: those that its selector names, as the cluster itself finds them. */
const podsOf = (object: KubernetesObject, pods: readonly KubernetesObject[]): KubernetesObject[] => {
  const labels = selectorOf(object);
  if (!labels) return [];
  const { metadata } = object;
  return pods.filter((pod) => pod.metadata.namespace === metadata.namespace && isSubset(labels, pod.metadata.labels));
};

const hasEndpoints = ({ metadata }: KubernetesObject, slices: readonly KubernetesObject[]): boolean =>
  slices
    .filter(
      (slice) => slice.metadata.namespace === metadata.namespace && slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name,
    )
    .some(
      ({ endpoints, ports }) => ports?.length > 0 && endpoints?.some(({ conditions }: KubernetesObject) => conditions?.ready !== false),
    );

const portsOf = (pods: readonly KubernetesObject[]): (string | number)[] =>
  pods.flatMap(({ spec }) =>
    spec.containers.flatMap(({ ports = [] }: KubernetesObject) =>
      ports.flatMap((port: KubernetesObject) => [port.containerPort, port.name]),
    ),
  );

/** A selector that finds nobody, pods that are not ready, or a port that none of them declares. */
const serviceHealth = (service: KubernetesObject, { pods, slices }: Neighbourhood): OwnHealth => {
  const { selector, type, ports = [] } = service.spec ?? {};
  if (type === 'ExternalName' || !selector || Object.keys(selector).length === 0) return { health: 'healthy', symptoms: [] };
  const selected = podsOf(service, pods);
  const none = (message: string): OwnHealth => ({ health: 'degraded', symptoms: [symptom('NoEndpoints', message)] });
  const wanted = Object.entries(selector)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  if (selected.length === 0) return none(`no pod has the labels ${wanted}`);
  const known = portsOf(selected);
  const odd = ports.map((port: KubernetesObject) => port.targetPort ?? port.port).find((port: string | number) => !known.includes(port));
  // a container may listen where it does not say so; where they say ports and not this one, nobody answers there
  if (odd !== undefined && known.length > 0) return none(`no container of its pods declares the port ${odd}`);
  if (hasEndpoints(service, slices)) return { health: 'healthy', symptoms: [] };
  // who writes the endpoints is a moment behind the pods
  if (selected.some(isPodReady)) return { health: 'progressing', symptoms: [] };
  return none(`none of ${selected.length} pods with the labels ${wanted} is ready at its ports`);
};

const workloads = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job']);

const isUp = (pods: readonly KubernetesObject[]): boolean => pods.length > 0 && pods.every(isPodReady);

/** How an object is, with all that its own status, its pods and its events say. */
export const judgeHealth = (object: KubernetesObject, around: Neighbourhood, nowMs: number): { health: Health; symptoms: Symptom[] } => {
  const own = ownHealth(object, nowMs);
  if (object.kind === 'Service' && !object.metadata.deletionTimestamp) return serviceHealth(object, around);
  const pods = workloads.has(object.kind) ? podsOf(object, around.pods) : object.kind === 'Pod' ? [object] : [];
  const found = pods.flatMap(podSymptoms);
  const isWell = own.health === 'healthy' && (pods.length === 0 || isUp(pods) || object.kind === 'Job');
  if (isWell && found.length === 0) return own;
  const uids = new Set([object, ...pods].map(({ metadata }) => String(metadata.uid)));
  const symptoms = gatherSymptoms([...own.symptoms, ...found, ...eventSymptoms(around.events, uids, nowMs)]);
  if (own.health === 'progressing' && symptoms.some(({ code }) => severe.test(code))) return { health: 'degraded', symptoms };
  // an old replica set that still serves while the new one cannot come up
  return { health: own.health === 'healthy' && found.some(({ code }) => severe.test(code)) ? 'degraded' : own.health, symptoms };
};
