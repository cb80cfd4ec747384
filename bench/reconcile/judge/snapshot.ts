import type { KubeObject } from '../cluster/container-status.ts';
import type { KubeApiServer } from '../cluster/start-api-server.ts';

/** What was seen at one moment: `Kind/name/path/of/a/value` -> the value as JSON. */
export type Snapshot = ReadonlyMap<string, string>;

/** What people and operators write. What controllers make out of that (pods, replica sets, endpoints, events) follows by itself. */
const collections: readonly [kind: string, path: string][] = [
  ['Deployment', '/apis/apps/v1/namespaces/NAMESPACE/deployments'],
  ['StatefulSet', '/apis/apps/v1/namespaces/NAMESPACE/statefulsets'],
  ['DaemonSet', '/apis/apps/v1/namespaces/NAMESPACE/daemonsets'],
  ['Job', '/apis/batch/v1/namespaces/NAMESPACE/jobs'],
  ['CronJob', '/apis/batch/v1/namespaces/NAMESPACE/cronjobs'],
  ['Service', '/api/v1/namespaces/NAMESPACE/services'],
  ['ConfigMap', '/api/v1/namespaces/NAMESPACE/configmaps'],
  ['Secret', '/api/v1/namespaces/NAMESPACE/secrets'],
  ['ServiceAccount', '/api/v1/namespaces/NAMESPACE/serviceaccounts'],
  ['PersistentVolumeClaim', '/api/v1/namespaces/NAMESPACE/persistentvolumeclaims'],
  ['ResourceQuota', '/api/v1/namespaces/NAMESPACE/resourcequotas'],
  ['LimitRange', '/api/v1/namespaces/NAMESPACE/limitranges'],
  ['NetworkPolicy', '/apis/networking.k8s.io/v1/namespaces/NAMESPACE/networkpolicies'],
  ['Ingress', '/apis/networking.k8s.io/v1/namespaces/NAMESPACE/ingresses'],
  ['Role', '/apis/rbac.authorization.k8s.io/v1/namespaces/NAMESPACE/roles'],
  ['RoleBinding', '/apis/rbac.authorization.k8s.io/v1/namespaces/NAMESPACE/rolebindings'],
  ['HorizontalPodAutoscaler', '/apis/autoscaling/v2/namespaces/NAMESPACE/horizontalpodautoscalers'],
  ['Toolhost', '/apis/bench.quarterdeck.dev/v1/namespaces/NAMESPACE/toolhosts'],
];
/** Of the whole cluster: those that carry the name of the lane are its own, the others nobody may touch. */
const ofCluster: readonly [kind: string, path: string][] = [
  ['Node', '/api/v1/nodes'],
  ['Namespace', '/api/v1/namespaces'],
  ['PersistentVolume', '/api/v1/persistentvolumes'],
  ['ClusterRole', '/apis/rbac.authorization.k8s.io/v1/clusterroles'],
  ['ClusterRoleBinding', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'],
  ['MutatingWebhookConfiguration', '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'],
  ['ValidatingWebhookConfiguration', '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'],
  ['StorageClass', '/apis/storage.k8s.io/v1/storageclasses'],
  ['PriorityClass', '/apis/scheduling.k8s.io/v1/priorityclasses'],
  ['CustomResourceDefinition', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'],
];

/** Written by the API server and its controllers, or marks of who wrote last. */
const passing =
  /^\/(status|metadata\/(managedFields|resourceVersion|generation|uid|creationTimestamp|deletionGracePeriodSeconds|annotations\/(quarterdeck\.dev~1(operation|applied)|deployment\.kubernetes\.io~1revision|pv\.kubernetes\.io~1.*)))(\/|$)/;
const escapePart = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

const leaves = (value: unknown, at: string, found: Map<string, string>): void => {
  if (value === null || typeof value !== 'object') {
    found.set(at, JSON.stringify(value));
    return;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) found.set(at, JSON.stringify(value));
  for (const [name, inner] of entries) leaves(inner, `${at}/${escapePart(name)}`, found);
};

const addObject = (into: Map<string, string>, prefix: string, kind: string, object: KubeObject): void => {
  const found = new Map<string, string>();
  leaves(object, '', found);
  for (const [path, value] of found) if (!passing.test(path)) into.set(`${prefix}${kind}/${object.metadata.name}${path}`, value);
};

/**
 * Looks at all that people could have changed: of a lane's own namespace, of its neighbours' (`elsewhere: Kind/…`) and of the whole cluster
 * (`cluster: Kind/…`), by plain HTTP. It knows nothing of targets, drifts or plans.
 */
export const takeSnapshot = async (
  send: KubeApiServer['send'],
  { namespace, elsewhere }: { namespace: string; elsewhere: string },
  isOthers: (name: string) => boolean,
): Promise<Snapshot> => {
  const seen = new Map<string, string>();
  const list = async (path: string): Promise<KubeObject[]> => (await send('GET', path)).items ?? [];
  const places = [
    ['', namespace],
    ['elsewhere: ', elsewhere],
  ] as const;
  for (const [prefix, place] of places)
    for (const [kind, path] of collections)
      for (const object of await list(path.replace('NAMESPACE', place))) addObject(seen, prefix, kind, object);
  for (const [kind, path] of ofCluster)
    for (const object of await list(path)) if (!isOthers(object.metadata.name)) addObject(seen, 'cluster: ', kind, object);
  return seen;
};
