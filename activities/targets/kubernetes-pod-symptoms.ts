import type { Symptom } from '../../schema/reconcile/observation.ts';
import type { KubernetesObject } from './kubernetes-client.ts';

export const symptom = (code: string, message: unknown, count = 1): Symptom => ({
  code: code.slice(0, 128),
  message: String(message ?? '').slice(0, 1000),
  count,
});

/** Reasons for which a container waits in the ordinary course of things. */
const ordinary = new Set(['ContainerCreating', 'PodInitializing']);

const containerSymptoms = ({ name, state = {}, lastState = {}, restartCount = 0 }: KubernetesObject): Symptom[] => {
  const { waiting, terminated } = state;
  const ended = terminated ?? lastState.terminated;
  const killed =
    ended?.reason === 'OOMKilled'
      ? [symptom('OOMKilled', `container ${name}: ${ended.message ?? 'used more memory than its limit'}`, restartCount)]
      : [];
  // the field says ErrImagePull and ImagePullBackOff by turns for one fault
  const code = waiting?.reason === 'ErrImagePull' ? 'ImagePullBackOff' : waiting?.reason;
  if (code && !ordinary.has(code))
    return [...killed, symptom(code, `container ${name}: ${waiting.message ?? ''}`, Math.max(restartCount, 1))];
  const failed = terminated && terminated.exitCode !== 0 && terminated.reason !== 'OOMKilled';
  return failed ? [...killed, symptom(terminated.reason ?? 'Error', `container ${name}: exit code ${terminated.exitCode}`)] : killed;
};

const conditionOf = ({ status }: KubernetesObject, type: string): KubernetesObject =>
  status?.conditions?.find((condition: KubernetesObject) => condition.type === type);

/** Whether what ran out of memory is long past: the container runs and is ready. */
const isOver = ({ ready, state }: KubernetesObject): boolean => ready === true && state?.running !== undefined;

/** What is wrong with a pod, in the words of its status. */
export const podSymptoms = (pod: KubernetesObject): Symptom[] => {
  const { status = {}, metadata } = pod;
  if (metadata.deletionTimestamp) return [];
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const found = containers.filter((container) => !isOver(container)).flatMap(containerSymptoms);
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False') found.push(symptom(scheduled.reason ?? 'Unschedulable', scheduled.message));
  if (status.phase === 'Failed' && found.length === 0) found.push(symptom(status.reason ?? 'PodFailed', status.message));
  const isUnready = status.phase === 'Running' && conditionOf(pod, 'Ready')?.status === 'False';
  if (isUnready && found.length === 0) found.push(symptom('NotReady', conditionOf(pod, 'Ready')?.message));
  return found;
};

export const isPodReady = (pod: KubernetesObject): boolean =>
  !pod.metadata.deletionTimestamp && conditionOf(pod, 'Ready')?.status === 'True';

/** One entry for each code, with how often it is seen and the first of its messages. */
export const gatherSymptoms = (symptoms: readonly Symptom[]): Symptom[] => {
  const byCode = new Map<string, Symptom>();
  for (const one of symptoms) {
    const known = byCode.get(one.code);
    byCode.set(one.code, known ? { ...known, count: known.count + one.count } : one);
  }
  return [...byCode.values()].slice(0, 16);
};
