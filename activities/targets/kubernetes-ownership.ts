import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { FieldOwner } from '../../schema/reconcile/observation.ts';
import type { IgnoreRule } from '../../schema/resources/reconcile-target.ts';
import type { KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesTarget } from './kubernetes-connection.ts';
import { ownersOf, touches } from './kubernetes-fields.ts';
import { fieldManager } from './kubernetes-state.ts';

export type LeftBecause = 'ignored' | 'held' | 'autoscaled' | 'owned';

/** By the name of the manager, and of the built-in one by the subresource that it writes: `kubectl scale` is a person. */
const isAutoscaler = ({ manager, subresource }: FieldOwner): boolean =>
  /autoscal|\bhpa\b|\bvpa\b|keda/i.test(manager) || (manager === 'kube-controller-manager' && subresource === 'scale');

const isOfRule = (rule: IgnoreRule, ref: ObjectRef): boolean =>
  Object.entries(rule.object ?? {}).every(([name, value]) => value === undefined || ref[name as keyof ObjectRef] === value);

/** Owners of one field of a live object. */
export const whoOwns = (owners: readonly FieldOwner[], pointer: string): FieldOwner[] =>
  owners.filter(({ paths }) => paths.some((path) => touches(path, pointer)));

/**
 * Says of each field of a live object why it is left as it is, or nothing: then it is ours to keep. What another applier has declared is
 * that one's; what somebody wrote once, by hand or by a client of their own, is put back.
 */
export const createOwnership = ({ spec, holds = [] }: KubernetesTarget, ref: ObjectRef, live: KubernetesObject) => {
  const owners = ownersOf(live, live);
  const rules = spec.ignore.filter((rule) => isOfRule(rule, ref));
  const held = holds.filter(({ object }) => object === '' || object === objectKey(ref));
  const whyLeft = (pointer: string): LeftBecause | undefined => {
    if (held.some(({ path }) => touches(path, pointer))) return 'held';
    const mine = whoOwns(owners, pointer);
    const isIgnored = rules.some(
      ({ path, manager }) =>
        (path === undefined || touches(path, pointer)) && (manager === undefined || mine.some((owner) => owner.manager === manager)),
    );
    if (isIgnored) return 'ignored';
    if (mine.some(isAutoscaler)) return 'autoscaled';
    return mine.some(({ manager, operation }) => manager !== fieldManager && operation === 'Apply') ? 'owned' : undefined;
  };
  return {
    whyLeft,
    /** Whether server-side apply would meet somebody else's field there, be it one that we wrote otherwise ourselves. */
    isTaken: (pointer: string): boolean =>
      whoOwns(owners, pointer).some(({ manager, operation }) => manager !== fieldManager || operation !== 'Apply'),
  };
};
export type Ownership = ReturnType<typeof createOwnership>;
