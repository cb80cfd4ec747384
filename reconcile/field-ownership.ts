import { objectKey } from '../schema/reconcile/object-ref.ts';
import type { FieldOwner, ObservedObject, ReadObservation } from '../schema/reconcile/observation.ts';
import type { IgnoreRule } from '../schema/resources/reconcile-target.ts';
import { touches, valueAt } from './json-pointer.ts';

/** The field manager that we apply under. */
export const ourManager = 'quarterdeck';
/** What people hold: `object` an `objectKey`, empty for all; `path` a pointer, empty for the whole; until an instant (ISO 8601). */
export type Hold = { object: string; path: string; untilAt: string };
export type WhyLeft = 'ignored' | 'held' | 'autoscaled' | 'owned';

export const isHeld = (holds: readonly Hold[], object: string, path: string, nowMs: number): boolean =>
  holds.some((hold) => Date.parse(hold.untilAt) > nowMs && (hold.object === '' || hold.object === object) && touches(hold.path, path));

const isAutoscaler = ({ manager, subresource }: FieldOwner): boolean =>
  /autoscal|\bhpa\b|\bvpa\b|keda/i.test(manager) || (manager === 'kube-controller-manager' && subresource === 'scale');

/** An autoscaler that is seen and points at the object owns its field even before it has written it. */
const isScaledBySeen = ({ objects, neighbours }: ReadObservation, { ref }: ObservedObject, path: string): boolean =>
  [...objects, ...neighbours].some((seen) => {
    const isHorizontal = seen.ref.kind === 'HorizontalPodAutoscaler';
    if ((!isHorizontal && seen.ref.kind !== 'VerticalPodAutoscaler') || seen.ref.namespace !== ref.namespace) return false;
    const pointer = isHorizontal ? '/spec/scaleTargetRef' : '/spec/targetRef';
    const isOfIt = valueAt(seen.state, `${pointer}/kind`) === ref.kind && valueAt(seen.state, `${pointer}/name`) === ref.name;
    return isOfIt && (isHorizontal ? touches('/spec/replicas', path) : /\/resources(\/|$)/.test(path));
  });

export const isOfRule = (rule: IgnoreRule, ref: ObservedObject['ref']): boolean =>
  Object.entries(rule.object ?? {}).every(([name, value]) => value === undefined || ref[name as keyof ObservedObject['ref']] === value);

export const ownersAt = (owners: readonly FieldOwner[], path: string): FieldOwner[] =>
  owners.filter(({ paths }) => paths.some((owned) => touches(owned, path)));

/** Why a field is left as it is, or undefined: then it is ours to keep. What another applier declares is theirs; what was written once by hand is put back. */
export const whyLeft = (
  ignore: readonly IgnoreRule[],
  holds: readonly Hold[],
  observation: ReadObservation,
  object: ObservedObject,
  path: string,
  nowMs: number,
): WhyLeft | undefined => {
  if (isHeld(holds, objectKey(object.ref), path, nowMs)) return 'held';
  const owners = ownersAt(object.owners, path);
  const isIgnored = ignore.some(
    (rule) =>
      isOfRule(rule, object.ref) &&
      (rule.path === undefined || touches(rule.path, path)) &&
      (rule.manager === undefined || owners.some(({ manager }) => manager === rule.manager)),
  );
  if (isIgnored) return 'ignored';
  if (owners.some(isAutoscaler) || isScaledBySeen(observation, object, path)) return 'autoscaled';
  return owners.some(({ manager, operation }) => manager !== ourManager && operation === 'Apply') ? 'owned' : undefined;
};
