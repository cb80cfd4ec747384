import type { ActionConstraint, EntityUidJson, PolicyJson, PrincipalConstraint, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';

/** An entity's id as one string. */
export const uidKey = (uid: EntityUidJson): string => {
  const { type, id } = '__entity' in uid ? uid.__entity : uid;
  return `${type} ${id}`; // a type holds no space, so two entities never share a key
};

/** An entity with the keys of all that it is in, itself included. */
export type Placed = { uid: TypeAndId; within: ReadonlySet<string> };

const entityMatches = (constraint: PrincipalConstraint, { uid, within }: Placed): boolean => {
  if (constraint.op === 'All') return true;
  if (constraint.op === 'is') {
    if (constraint.entity_type !== uid.type) return false;
    return constraint.in === undefined || !('entity' in constraint.in) || within.has(uidKey(constraint.in.entity));
  }
  if (!('entity' in constraint)) return true; // the slot of a template: whatever it is linked to
  return constraint.op === '==' ? uidKey(constraint.entity) === uidKey(uid) : within.has(uidKey(constraint.entity));
};

const actionMatches = (constraint: ActionConstraint, action: Placed): boolean => {
  if (constraint.op === 'All') return true;
  if (constraint.op === '==') return !('entity' in constraint) || uidKey(constraint.entity) === uidKey(action.uid);
  if ('entities' in constraint) return constraint.entities.some((entity) => action.within.has(uidKey(entity)));
  return !('entity' in constraint) || action.within.has(uidKey(constraint.entity));
};

/** Whether the scope of a policy fits a request, so that its conditions are looked at; Cedar decides that before them, without errors. */
export const scopeFits = (
  policy: Pick<PolicyJson, 'principal' | 'action' | 'resource'>,
  { principal, action, resource }: { principal: Placed; action: Placed; resource: Placed },
): boolean =>
  actionMatches(policy.action, action) && entityMatches(policy.principal, principal) && entityMatches(policy.resource, resource);
