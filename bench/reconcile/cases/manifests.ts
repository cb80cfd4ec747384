import { createHash } from 'node:crypto';
import type { ObjectRef } from '../../../schema/reconcile/object-ref.ts';
import type { KubeObject } from '../cluster/container-status.ts';
import type { Lane } from './drift-case.ts';

/** The digest that a release has in the registries of the bench. */
export const digestOf = (release: string): string => `sha256:${createHash('sha256').update(release).digest('hex')}`;
export const repositoryOf = ({ namespace }: Pick<Lane, 'namespace'>): string => `registry.bench/${namespace}/web`;
/** The image of a release by digest, as everything here declares it unless a case is about something else. */
export const imageOf = (lane: Pick<Lane, 'namespace'>, release = '1.4'): string => `${repositoryOf(lane)}@${digestOf(release)}`;

export const deploymentOf = (
  lane: Lane,
  container: KubeObject = {},
  pod: KubeObject = {},
  spec: KubeObject = {},
  name = 'web',
): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 2,
    ...spec,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        ...pod,
        containers: [
          {
            name,
            image: imageOf(lane),
            ports: [{ name: 'http', containerPort: 8080 }],
            readinessProbe: { httpGet: { port: 8080, path: '/ready' } },
            resources: { limits: { memory: '128Mi' } },
            ...container,
          },
        ],
      },
    },
  },
});
export const serviceOf = (name = 'web'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});
export const settings: KubeObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { level: 'info' } };

const groups: Record<string, [version: string, plural: string]> = {
  Deployment: ['apps/v1', 'deployments'],
  Service: ['v1', 'services'],
  ConfigMap: ['v1', 'configmaps'],
  Secret: ['v1', 'secrets'],
  PersistentVolumeClaim: ['v1', 'persistentvolumeclaims'],
  ResourceQuota: ['v1', 'resourcequotas'],
  ServiceAccount: ['v1', 'serviceaccounts'],
  Pod: ['v1', 'pods'],
  Role: ['rbac.authorization.k8s.io/v1', 'roles'],
  RoleBinding: ['rbac.authorization.k8s.io/v1', 'rolebindings'],
  NetworkPolicy: ['networking.k8s.io/v1', 'networkpolicies'],
  HorizontalPodAutoscaler: ['autoscaling/v2', 'horizontalpodautoscalers'],
  Toolhost: ['bench.quarterdeck.dev/v1', 'toolhosts'],
};

export const refOf = (namespace: string, kind: string, name = 'web'): ObjectRef => ({
  apiVersion: groups[kind]?.[0] ?? 'v1',
  kind,
  namespace,
  name,
});
/** The path of a collection of a namespace, or of one object of it. */
export const pathOf = (namespace: string, kind: string, name?: string): string => {
  const [version, plural] = groups[kind] ?? ['v1', `${kind.toLowerCase()}s`];
  const root = version.includes('/') ? `/apis/${version}` : `/api/${version}`;
  return `${root}/namespaces/${namespace}/${plural}${name === undefined ? '' : `/${name}`}`;
};

/** As somebody does with `kubectl edit`. */
export const editByHand = ({ send, namespace }: Lane, kind: string, name: string, ...patch: object[]) =>
  send('PATCH', `${pathOf(namespace, kind, name)}?fieldManager=kubectl-edit`, patch, 'application/json-patch+json');
/** The pods are evicted, and their workload makes new ones. */
export const evictPods = async ({ send, namespace }: Lane, app = 'web'): Promise<void> => {
  await send('DELETE', `${pathOf(namespace, 'Pod')}?labelSelector=app%3D${app}`);
};

export const podsOf = async ({ send, namespace }: Lane, app = 'web'): Promise<KubeObject[]> =>
  (await send('GET', `${pathOf(namespace, 'Pod')}?labelSelector=app%3D${app}`)).items ?? [];
/** Whether a container of the pods waits for a reason, or was ended by it. */
export const someWait = async (lane: Lane, reason: string, text = ''): Promise<boolean> =>
  (await podsOf(lane)).some(({ status }) =>
    status.containerStatuses?.some(({ state, lastState }: KubeObject) =>
      [state?.waiting, lastState?.terminated].some((one) => one?.reason === reason && String(one.message ?? '').includes(text)),
    ),
  );
export const readObject = ({ send, namespace }: Lane, kind: string, name = 'web'): Promise<KubeObject | undefined> =>
  send('GET', pathOf(namespace, kind, name)).catch(() => undefined);
/** Whether all replicas of a Deployment are available in its present form. */
export const isAvailable = async (lane: Lane, name = 'web'): Promise<boolean> => {
  const { spec, status = {}, metadata } = (await readObject(lane, 'Deployment', name)) ?? { status: {} };
  if (spec === undefined || status.observedGeneration !== metadata.generation) return false;
  return status.updatedReplicas === spec.replicas && status.availableReplicas === spec.replicas && status.replicas === spec.replicas;
};
