import type { Health, Symptom } from '../../schema/reconcile/observation.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import { symptom } from './kubernetes-pod-symptoms.ts';

/** How an object is by its own status, before what its pods and events say. */
export type OwnHealth = { health: Health; symptoms: Symptom[] };

const conditionOf = ({ status }: KubernetesObject, type: string): KubernetesObject =>
  Array.isArray(status?.conditions) ? status.conditions.find((condition: KubernetesObject) => condition.type === type) : undefined;

const is = (health: Health, ...symptoms: Symptom[]): OwnHealth => ({ health, symptoms });
const whether = (isWell: boolean): OwnHealth => is(isWell ? 'healthy' : 'progressing');
/** A status of an older specification says nothing of this one. */
const isBehind = ({ metadata, status }: KubernetesObject): boolean =>
  status?.observedGeneration !== undefined && status.observedGeneration < (metadata.generation ?? 0);

const deployment = (object: KubernetesObject): OwnHealth => {
  const { spec, status = {} } = object;
  if (isBehind(object) || status.observedGeneration === undefined) return is('progressing');
  const progressing = conditionOf(object, 'Progressing');
  if (progressing?.reason === 'ProgressDeadlineExceeded') return is('degraded', symptom('ProgressDeadlineExceeded', progressing.message));
  const failure = conditionOf(object, 'ReplicaFailure');
  if (failure?.status === 'True') return is('degraded', symptom(failure.reason ?? 'ReplicaFailure', failure.message));
  const wanted = spec.replicas ?? 1;
  const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = status;
  return whether(updatedReplicas >= wanted && availableReplicas >= wanted && replicas <= wanted);
};

const statefulSet = (object: KubernetesObject): OwnHealth => {
  const { spec, status = {} } = object;
  const wanted = spec.replicas ?? 1;
  const { readyReplicas = 0, updatedReplicas = 0 } = status;
  const isUpdated =
    spec.updateStrategy?.type === 'OnDelete' || status.updateRevision === status.currentRevision || updatedReplicas >= wanted;
  return whether(!isBehind(object) && status.observedGeneration !== undefined && readyReplicas >= wanted && isUpdated);
};

const daemonSet = (object: KubernetesObject): OwnHealth => {
  const { desiredNumberScheduled = 0, updatedNumberScheduled = 0, numberAvailable = 0, observedGeneration } = object.status ?? {};
  const isEnough = updatedNumberScheduled >= desiredNumberScheduled && numberAvailable >= desiredNumberScheduled;
  return whether(!isBehind(object) && observedGeneration !== undefined && isEnough);
};

const job = (object: KubernetesObject): OwnHealth => {
  const failed = conditionOf(object, 'Failed');
  if (failed?.status === 'True') return is('degraded', symptom(failed.reason ?? 'JobFailed', failed.message));
  return whether(conditionOf(object, 'Complete')?.status === 'True' || object.spec?.suspend === true);
};

const claim = ({ status = {} }: KubernetesObject): OwnHealth => {
  if (status.phase === 'Lost') return is('degraded', symptom('ClaimLost', 'the volume of the claim is gone'));
  return whether(status.phase === 'Bound');
};

const pod = (object: KubernetesObject): OwnHealth => {
  const { phase } = object.status ?? {};
  if (phase === 'Succeeded') return is('healthy');
  if (phase === 'Failed') return is('degraded');
  return whether(conditionOf(object, 'Ready')?.status === 'True');
};

const plain = new Set([
  'ConfigMap',
  'Secret',
  'NetworkPolicy',
  'ServiceAccount',
  'Role',
  'RoleBinding',
  'CronJob',
  'Ingress',
  'HorizontalPodAutoscaler',
  'PodDisruptionBudget',
  'Service',
]);

/** By the conditions that the field has agreed on; a kind that has none is well by being there. */
const byConditions = (object: KubernetesObject): OwnHealth => {
  if (isBehind(object)) return is('progressing');
  const stalled = conditionOf(object, 'Stalled');
  if (stalled?.status === 'True') return is('degraded', symptom(stalled.reason ?? 'Stalled', stalled.message));
  const ready = conditionOf(object, 'Ready') ?? conditionOf(object, 'Available');
  if (ready?.status === 'False') return is('degraded', symptom(ready.reason || 'NotReady', ready.message));
  return whether(ready === undefined || ready.status === 'True');
};

const byKind: Readonly<Record<string, (object: KubernetesObject) => OwnHealth>> = {
  Deployment: deployment,
  StatefulSet: statefulSet,
  DaemonSet: daemonSet,
  Job: job,
  PersistentVolumeClaim: claim,
  Pod: pod,
};

const patienceMs = 120_000;

/** @param nowMs - deletion may take a while before it counts as stuck */
export const ownHealth = (object: KubernetesObject, nowMs: number): OwnHealth => {
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  if (deletionTimestamp) {
    const waits = finalizers.length > 0 ? `waits for the finalizers ${finalizers.join(', ')}` : 'is being deleted';
    return is(nowMs - Date.parse(deletionTimestamp) > patienceMs ? 'degraded' : 'progressing', symptom('Terminating', waits));
  }
  if (plain.has(object.kind)) return is('healthy');
  return (byKind[object.kind] ?? byConditions)(object);
};
