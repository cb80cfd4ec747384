import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import { KubernetesFailure, type KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import type { KubernetesConnections } from './kubernetes-connections.ts';
import { ownersOf } from './kubernetes-fields.ts';
import { listAll } from './kubernetes-lists.ts';
import { declaredOf, namespacesOf } from './kubernetes-manifests.ts';
import { judgeHealth, type Neighbourhood } from './kubernetes-neighbourhood.ts';
import { digestOf, refOf, stateOf, targetLabel, targetLabelOf } from './kubernetes-state.ts';
import { isMadeBy } from './kubernetes-writing.ts';

export type Kind = { apiVersion: string; kind: string };

/** What shows how the declared things are doing, whatever they are. */
export const pods: Kind = { apiVersion: 'v1', kind: 'Pod' };
export const events: Kind = { apiVersion: 'v1', kind: 'Event' };
export const slices: Kind = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' };
export const autoscalers: Kind = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' };

/** Kinds of which something may be left that is declared no more; asked for only what carries our label. */
export const prunable: readonly Kind[] = [
  ...['ConfigMap', 'Secret', 'Service', 'ServiceAccount', 'PersistentVolumeClaim'].map((kind) => ({ apiVersion: 'v1', kind })),
  ...['Deployment', 'StatefulSet', 'DaemonSet'].map((kind) => ({ apiVersion: 'apps/v1', kind })),
  ...['Job', 'CronJob'].map((kind) => ({ apiVersion: 'batch/v1', kind })),
  ...['NetworkPolicy', 'Ingress'].map((kind) => ({ apiVersion: 'networking.k8s.io/v1', kind })),
  ...['Role', 'RoleBinding'].map((kind) => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind })),
];

export const warningsOnly = { fieldSelector: 'type=Warning' };
/** A kind that we may not read and that nobody declares: of it nothing is said, and nothing is deleted. */
export const isNotForUs = (error: unknown): boolean => error instanceof KubernetesFailure && [403, 404].includes(error.status);

const mostNeighbours = 200;
const mostStateBytes = 256 * 1024;
const tooLarge = `It is larger than ${mostStateBytes} bytes, so that it is not read: nothing is compared, made or deleted because of it.`;

export const kindText = ({ apiVersion, kind }: Kind): string =>
  `${apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''}/${kind}`;
export const uniqueKinds = (kinds: readonly Kind[]): Kind[] => [...new Map(kinds.map((kind) => [kindText(kind), kind])).values()];

const reasonOf = ({ status }: KubernetesFailure): Extract<Observation, { status: 'unknown' }>['reason'] => {
  if (status === 401 || status === 403) return 'refused';
  if (status === 429) return 'throttled';
  return status === 0 || status >= 500 ? 'unreachable' : 'incomplete';
};

/** What was found of a target and around it. */
export type Found = { everything: readonly KubernetesObject[]; around: Neighbourhood };
/** How it is found: by lists of its own, or in those that are kept for all. */
export type Gather = (target: KubernetesTarget, refs: readonly ObjectRef[], signal: AbortSignal) => Promise<Found>;

/** Asks the cluster for each list. */
export const createListGather = (connections: KubernetesConnections): Gather => {
  const list = async (
    connection: KubernetesConnection,
    target: KubernetesTarget,
    { apiVersion, kind }: Kind,
    query: Record<string, string>,
    signal: AbortSignal,
  ) => {
    const lists = await Promise.all(
      namespacesOf(target).map(async (namespace) => {
        const path = await connection.resources.listPath(apiVersion, kind, namespace, signal);
        return listAll(connection.client, path, signal, query);
      }),
    );
    return lists.flatMap(({ items }) => items);
  };

  return async (target, refs, signal) => {
    const connection = await connections.of(target);
    const isOfKind = (kind: string) => refs.some((ref) => ref.kind === kind);
    const declaredKinds = uniqueKinds(refs);
    const besides = uniqueKinds([...declaredKinds, pods, autoscalers, ...(isOfKind('Service') ? [slices] : [])]);
    const withLabel = { labelSelector: `${targetLabel}=${targetLabelOf(target)}` };
    const leftovers = uniqueKinds([...besides, ...prunable]).slice(besides.length);

    const [whole, warnings, labelled] = await Promise.all([
      Promise.all(besides.map((kind) => list(connection, target, kind, {}, signal))),
      list(connection, target, events, warningsOnly, signal),
      Promise.all(
        leftovers.map((kind) =>
          list(connection, target, kind, withLabel, signal).catch((error) => {
            if (isNotForUs(error)) return [];
            throw error;
          }),
        ),
      ),
    ]);
    const ofKind = (wanted: Kind) => whole[besides.findIndex((kind) => kindText(kind) === kindText(wanted))] ?? [];
    return {
      everything: [...whole.flat(), ...labelled.flat()],
      around: { pods: ofKind(pods), events: warnings, slices: ofKind(slices) },
    };
  };
};

const nameOf = ({ metadata }: KubernetesObject) => ({ name: metadata.name, namespace: metadata.namespace });

/** One answer of all that is there, or `unknown`: a part that cannot be read makes the whole unknown, so that nothing of it looks missing. */
export const createKubernetesObserve = ({ gather, now }: { gather: Gather; now: () => Date }) => {
  const show =
    (target: KubernetesTarget, around: Neighbourhood, nowMs: number) =>
    (object: KubernetesObject): ObservedObject => {
      const whole = stateOf(object);
      const isTooLarge = Buffer.byteLength(JSON.stringify(whole)) > mostStateBytes;
      // nobody blinds us by one object that they make or fill, be it one that is declared: of that only who it is and how it is doing
      const state = isTooLarge ? { apiVersion: object.apiVersion, kind: object.kind, metadata: nameOf(object) } : whole;
      return {
        ref: refOf(object),
        uid: String(object.metadata.uid),
        version: String(object.metadata.resourceVersion),
        hash: digestOf(whole),
        state,
        ...judgeHealth(object, around, nowMs),
        owners: ownersOf(object, state),
        isOurs: isMadeBy(target, object),
        deletingSince: object.metadata.deletionTimestamp ?? '',
        ...(isTooLarge ? { unreadable: tooLarge } : {}),
      };
    };

  const observe = async (target: KubernetesTarget, signal: AbortSignal): Promise<Observation> => {
    const set = declaredOf(target);
    const refs = set.ok ? set.declared.map(({ ref }) => ref) : [];
    const { everything, around } = await gather(target, refs, signal);
    const nowMs = now().getTime();

    const declared = new Set(refs.map(objectKey));
    const isSubject = (object: KubernetesObject) => declared.has(objectKey(refOf(object))) || isMadeBy(target, object);
    const others = everything.filter((object) => !isSubject(object) && object.kind !== slices.kind).map(show(target, around, nowMs));
    const illFirst = others.toSorted((one, other) => Number(one.health === 'healthy') - Number(other.health === 'healthy'));
    return {
      status: 'read',
      at: new Date(nowMs).toISOString(),
      objects: everything.filter(isSubject).map(show(target, around, nowMs)),
      neighbours: illFirst.slice(0, mostNeighbours),
    };
  };

  return async (target: KubernetesTarget, signal: AbortSignal): Promise<Observation> => {
    try {
      return await observe(target, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KubernetesFailure)) throw error;
      return { status: 'unknown', at: now().toISOString(), reason: reasonOf(error), message: error.message.slice(0, 2000) };
    }
  };
};
