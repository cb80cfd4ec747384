import type { ObjectRef } from '../../schema/reconcile/object-ref.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import { targetLabel } from './kubernetes-state.ts';

/** What an object is looked up by, beside its name: so that a target finds its own among those of a thousand others. */
export const terms = {
  ofTarget: (label: string) => `target ${label}`,
  label: (name: string, value: string) => `label ${name}=${value}`,
  about: (uid: string) => `about ${uid}`,
  service: (name: string) => `service ${name}`,
  scales: ({ kind, name }: Pick<ObjectRef, 'kind' | 'name'>) => `scales ${kind}/${name}`,
};

export const serviceNameLabel = 'kubernetes.io/service-name';

export const termsOf = ({ kind, metadata, involvedObject, spec }: KubernetesObject): string[] => {
  const labels: Record<string, string> = metadata.labels ?? {};
  const mine = labels[targetLabel] === undefined ? [] : [terms.ofTarget(labels[targetLabel])];
  switch (kind) {
    case 'Pod':
      return [...mine, ...Object.entries(labels).map(([name, value]) => terms.label(name, value))];
    case 'Event':
      return [terms.about(String(involvedObject?.uid))];
    case 'EndpointSlice':
      return labels[serviceNameLabel] === undefined ? [] : [terms.service(labels[serviceNameLabel])];
    case 'HorizontalPodAutoscaler':
      return [...mine, terms.scales({ kind: String(spec?.scaleTargetRef?.kind), name: String(spec?.scaleTargetRef?.name) })];
    default:
      return mine;
  }
};

const nameOf = ({ metadata }: KubernetesObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

/** Values of secrets are of no use to who only looks, so they are not kept. */
const withoutValues = (object: KubernetesObject): KubernetesObject =>
  object.kind === 'Secret' && object.data
    ? { ...object, data: Object.fromEntries(Object.keys(object.data).map((name) => [name, ''])) }
    : object;

/** Objects of one kind as they were last seen, found by name and by term. */
export const createKubernetesIndex = () => {
  const byName = new Map<string, KubernetesObject>();
  const byTerm = new Map<string, Map<string, KubernetesObject>>();

  const forget = (name: string): KubernetesObject | undefined => {
    const known = byName.get(name);
    if (known === undefined) return undefined;
    byName.delete(name);
    for (const term of termsOf(known)) {
      const found = byTerm.get(term);
      found?.delete(name);
      if (found?.size === 0) byTerm.delete(term);
    }
    return known;
  };

  const put = (given: KubernetesObject): boolean => {
    const name = nameOf(given);
    if (byName.get(name)?.metadata.resourceVersion === given.metadata.resourceVersion) return false;
    forget(name);
    const object = withoutValues(given);
    byName.set(name, object);
    for (const term of termsOf(object)) {
      const found = byTerm.get(term) ?? new Map<string, KubernetesObject>();
      byTerm.set(term, found.set(name, object));
    }
    return true;
  };

  return {
    get: (namespace: string, name: string): KubernetesObject | undefined => byName.get(`${namespace}/${name}`),
    find: (term: string): KubernetesObject[] => [...(byTerm.get(term)?.values() ?? [])],
    /** @returns false where this version of it is known already */
    put,
    remove: (object: KubernetesObject): boolean => forget(nameOf(object)) !== undefined,
    /** Takes over a whole list. @returns what differs from before, those that are gone included */
    replace: (items: readonly KubernetesObject[]): KubernetesObject[] => {
      const gone = new Set(byName.keys());
      const changed = items.filter((item) => {
        gone.delete(nameOf(item));
        return put(item);
      });
      return [...changed, ...[...gone].flatMap((name) => forget(name) ?? [])];
    },
  };
};
export type KubernetesIndex = ReturnType<typeof createKubernetesIndex>;
