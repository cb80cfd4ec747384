import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { Observation } from '../../schema/reconcile/observation.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import type { KubernetesConnections } from './kubernetes-connections.ts';
import { serviceNameLabel, terms } from './kubernetes-index.ts';
import { type Hear, type KubernetesInformer, type Place, startKubernetesInformer } from './kubernetes-informer.ts';
import { declaredOf, namespacesOf } from './kubernetes-manifests.ts';
import { isSubset, selectorOf } from './kubernetes-neighbourhood.ts';
import {
  autoscalers,
  createListGather,
  events,
  type Found,
  type Gather,
  isNotForUs,
  kindText,
  pods,
  prunable,
  slices,
  uniqueKinds,
  warningsOnly,
} from './kubernetes-observe.ts';
import { refOf, targetLabel, targetLabelOf } from './kubernetes-state.ts';
import type { WatchTiming } from './kubernetes-watch.ts';

type Role = 'declared' | 'beside' | 'leftover';
type Part = { place: Place; role: Role; informer: KubernetesInformer; leave: () => void };
type Lease = {
  target: KubernetesTarget;
  hear: Hear;
  signal: AbortSignal;
  connectionKey: string;
  parts: readonly Part[];
  /** The last observation, where nothing that concerns the target was heard since. */
  last?: { observation: Observation; atMs: number; heard: number } | undefined;
  /** How often something that concerns it was heard. */
  heard: number;
};
/** So many intervals at most an observation serves though nothing was heard: what concerns a target is told by names, which can miss something. */
const mostIntervals = 10;

type Shared = { informer: KubernetesInformer; intervals: Map<object, number> };

const keyOfTarget = ({ org, project, name }: KubernetesTarget): string => `${org}/${project}/${name}`;

/** Whether something that was seen may change how a target is; rather once too often, its interval finds the rest. */
const isConcerned = (target: KubernetesTarget): ((object: KubernetesObject) => boolean) => {
  const set = declaredOf(target);
  const declared = set.ok ? set.declared : [];
  const keys = new Set(declared.map(({ ref }) => objectKey(ref)));
  const names = declared.map(({ ref }) => ref.name);
  const services = new Set(declared.filter(({ ref }) => ref.kind === 'Service').map(({ ref }) => ref.name));
  const selectors = declared.map(({ manifest }) => selectorOf(manifest)).filter((selector) => selector !== undefined);
  const label = targetLabelOf(target);
  return (object) => {
    if (object.metadata.labels?.[targetLabel] === label || keys.has(objectKey(refOf(object)))) return true;
    switch (object.kind) {
      case 'Pod':
        return selectors.some((selector) => isSubset(selector, object.metadata.labels));
      case 'Event':
        return names.some((name) => object.involvedObject?.name === name || String(object.involvedObject?.name).startsWith(`${name}-`));
      case 'EndpointSlice':
        return services.has(object.metadata.labels?.[serviceNameLabel]);
      case 'HorizontalPodAutoscaler':
        return names.includes(object.spec?.scaleTargetRef?.name);
      default:
        return false;
    }
  };
};

const partsOf = (target: KubernetesTarget): { place: Place; role: Role }[] => {
  const set = declaredOf(target);
  const refs = set.ok ? set.declared.map(({ ref }) => ref) : [];
  const declared = uniqueKinds(refs);
  const isOfKind = (kind: string) => refs.some((ref) => ref.kind === kind);
  const beside = uniqueKinds([...declared, pods, autoscalers, ...(isOfKind('Service') ? [slices] : [])]).slice(declared.length);
  const known = [...declared, ...beside];
  const leftovers = target.spec.prune ? uniqueKinds([...known, ...prunable]).slice(known.length) : [];
  return namespacesOf(target).flatMap((namespace) => [
    ...declared.map((kind) => ({ place: { ...kind, namespace, query: {} }, role: 'declared' as const })),
    ...beside.map((kind) => ({ place: { ...kind, namespace, query: {} }, role: 'beside' as const })),
    { place: { ...events, namespace, query: warningsOnly }, role: 'beside' as const },
    ...leftovers.map((kind) => ({ place: { ...kind, namespace, query: { labelSelector: targetLabel } }, role: 'leftover' as const })),
  ]);
};

/**
 * Lists and watches that all targets of a cluster share: one for each kind and namespace, however many targets look at it. What is found in
 * them for a target is its own objects and what shows how these are doing.
 */
export const createKubernetesInformers = ({ connections, timing }: { connections: KubernetesConnections; timing: WatchTiming }) => {
  const shared = new Map<string, Shared>();
  const leases = new Map<string, Lease>();
  const gatherByLists = createListGather(connections);

  const join = (connection: KubernetesConnection, place: Place, { target, hear }: Pick<Lease, 'target' | 'hear'>) => {
    const key = [connection.key, kindText(place), place.namespace, JSON.stringify(place.query)].join('\n');
    const intervals = shared.get(key)?.intervals ?? new Map<object, number>();
    const found = shared.get(key) ?? {
      intervals,
      informer: startKubernetesInformer({ place, connection, timing, intervalMs: () => Math.min(...intervals.values(), 3_600_000) }),
    };
    shared.set(key, found);
    const member = {};
    found.intervals.set(member, target.spec.intervalSeconds * 1000);
    found.informer.listeners.add(hear);
    const leave = () => {
      found.intervals.delete(member);
      found.informer.listeners.delete(hear);
      if (found.intervals.size > 0) return;
      found.informer.close();
      if (shared.get(key) === found) shared.delete(key);
    };
    return { informer: found.informer, leave };
  };

  const leaveAll = ({ parts }: Pick<Lease, 'parts'>) => {
    for (const { leave } of parts) leave();
  };

  /** Where a target's lists are kept; by other credentials once its kubeconfig has changed. */
  const joined = async (lease: Lease): Promise<Lease> => {
    const connection = await connections.of(lease.target);
    if (lease.connectionKey === connection.key || lease.signal.aborted) return lease;
    const before = { parts: lease.parts };
    lease.connectionKey = connection.key;
    lease.parts = partsOf(lease.target).map((part) => ({ ...part, ...join(connection, part.place, lease) }));
    leaveAll(before);
    return lease;
  };

  const gather = async (lease: Lease, refs: readonly ObjectRef[], signal: AbortSignal): Promise<Found> => {
    const { parts, target } = await joined(lease);
    const read = await Promise.all(
      parts.map(async ({ place, role, informer }) => {
        const index = await informer.read(signal).catch((error) => {
          if (role === 'leftover' && isNotForUs(error)) return undefined;
          throw error;
        });
        return { place, role, index };
      }),
    );
    const findIn = (kind: string, asked: readonly string[]): KubernetesObject[] =>
      read.flatMap(({ place, index }) => (place.kind === kind ? asked.flatMap((term) => index?.find(term) ?? []) : []));
    const declared = refs.flatMap((ref) => {
      const part = read.find(({ place }) => kindText(place) === kindText(ref) && place.namespace === ref.namespace);
      return part?.index?.get(ref.namespace, ref.name) ?? [];
    });
    const mine = read.flatMap(({ role, index }) => (role === 'beside' ? [] : (index?.find(terms.ofTarget(targetLabelOf(target))) ?? [])));
    const subjects = [...new Set([...declared, ...mine])];
    const selected = subjects.flatMap((object) => {
      const selector = Object.entries(selectorOf(object) ?? {});
      const [first] = selector;
      if (first === undefined) return [];
      return findIn(pods.kind, [terms.label(...first)]).filter(
        ({ metadata }) => metadata.namespace === object.metadata.namespace && isSubset(Object.fromEntries(selector), metadata.labels),
      );
    });
    const theirPods = [...new Set(selected)];
    const uids = [...subjects, ...theirPods].map(({ metadata }) => terms.about(String(metadata.uid)));
    const services = subjects.filter(({ kind }) => kind === 'Service').map(({ metadata }) => terms.service(metadata.name));
    const scaling = findIn(autoscalers.kind, subjects.map(refOf).map(terms.scales));
    return {
      everything: [...new Set([...subjects, ...theirPods, ...scaling])],
      around: { pods: theirPods, events: findIn(events.kind, uids), slices: findIn(slices.kind, services) },
    };
  };

  const shareGather: Gather = (target, refs, signal) => {
    const lease = leases.get(keyOfTarget(target));
    return lease?.target === target ? gather(lease, refs, signal) : gatherByLists(target, refs, signal);
  };

  /** By time alone nothing changes of what is well. */
  const isSettled = (observation: Observation): boolean =>
    observation.status === 'read' &&
    observation.objects.every(
      ({ health, symptoms, deletingSince }) => health === 'healthy' && symptoms.length === 0 && deletingSince === '',
    );

  return {
    /** What was observed last, while nothing that concerns the target was heard since and its lists can be read; else observed anew. */
    remember:
      (observe: (target: KubernetesTarget, signal: AbortSignal) => Promise<Observation>) =>
      async (target: KubernetesTarget, signal: AbortSignal): Promise<Observation> => {
        const lease = leases.get(keyOfTarget(target));
        if (lease?.target !== target) return observe(target, signal);
        const { last, heard, connectionKey } = lease;
        const isYoung = last?.heard === heard && performance.now() - last.atMs < mostIntervals * target.spec.intervalSeconds * 1000;
        if (isYoung && lease.parts.every(({ role, informer }) => role === 'leftover' || informer.isWell())) {
          const { key } = await connections.of(target);
          if (key === connectionKey) return last.observation;
        }
        const observation = await observe(target, signal);
        lease.last = isSettled(observation) ? { observation, atMs: performance.now(), heard } : undefined;
        return observation;
      },
    /** Of a target that is watched, in what is kept; of another by lists of its own. */
    gather: shareGather,
    watch: (target: KubernetesTarget, changed: () => void, signal: AbortSignal): void => {
      const concerns = isConcerned(target);
      const lease: Lease = {
        target,
        signal,
        heard: 0,
        connectionKey: '',
        parts: [],
        hear: (object) => {
          if (object !== undefined && !concerns(object)) return;
          lease.heard += 1;
          changed();
        },
      };
      leases.set(keyOfTarget(target), lease);
      signal.addEventListener('abort', () => {
        leaveAll(lease);
        lease.parts = [];
        if (leases.get(keyOfTarget(target)) === lease) leases.delete(keyOfTarget(target));
      });
      // where its cluster cannot be reached yet, the next look joins
      void joined(lease).catch(() => undefined);
    },
    /** Lists that are kept, for who counts them. */
    count: (): number => shared.size,
  };
};
