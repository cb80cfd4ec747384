import { createHash } from 'node:crypto';
import type { KubernetesTarget } from '../../activities/targets/kubernetes-connection.ts';
import type { Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import type { Precondition } from '../../schema/reconcile/plan.ts';
import { KubernetesTargetSchema } from '../../schema/resources/reconcile-target.ts';

export const images = {
  'registry.test/web:1': { port: 8080, memoryMi: 64 },
  'registry.test/web:2': { port: 8080, memoryMi: 64 },
};

export const container = {
  name: 'web',
  image: 'registry.test/web:1',
  ports: [{ containerPort: 8080 }],
  resources: { limits: { memory: '128Mi', cpu: '1000m' } },
  readinessProbe: { httpGet: { port: 8080, path: '/ready' } },
};

// biome-ignore lint/suspicious/noExplicitAny: manifests are as people write them
export const deployment = (change: any = {}, name = 'web'): any => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ ...container, ...change }] } },
  },
});
export const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
};
export const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { level: 'info' } };

export const kubernetesTarget = (namespace: string, kubeconfig: string, manifests: object[], more: object = {}): KubernetesTarget => ({
  org: 'default',
  project: 'default',
  name: namespace,
  generation: 1,
  spec: KubernetesTargetSchema.parse({ type: 'kubernetes', cluster: { kubeconfig: { file: kubeconfig } }, namespace, manifests, ...more }),
});

export const refOf = (namespace: string, kind: string, name: string) => ({
  apiVersion: { Deployment: 'apps/v1' }[kind] ?? 'v1',
  kind,
  namespace,
  name,
});

export const objectIn = (observation: Observation, kind: string, name: string): ObservedObject => {
  if (observation.status !== 'read') throw new Error(`${observation.reason}: ${observation.message}`);
  const found = observation.objects.find(({ ref }) => ref.kind === kind && ref.name === name);
  if (!found) throw new Error(`${kind}/${name} was not seen`);
  return found;
};

/** What an apply carries where nobody else wants the target. */
export const applying = (operationId: string, precondition: Precondition = { kind: 'none' }, states: readonly unknown[] = []) => ({
  operationId,
  precondition,
  holdsFence: async () => true,
  readState: async (digest: string) => states.find((state) => digestOfState(state) === digest),
  signal: AbortSignal.timeout(60_000),
});
export const digestOfState = (state: unknown): string => createHash('sha256').update(JSON.stringify(state)).digest('hex');
export const preconditionOf = ({ version, hash, uid }: ObservedObject): Precondition => ({ kind: 'version', version, hash, uid });
