import { type Principal, principalName } from '../principal.ts';

const keys = new WeakMap<Principal, string>();

/** All facts of a principal that a decision can depend on, as one text: two callers share what was decided only where these are equal. */
export const principalKey = (principal: Principal): string => {
  let key = keys.get(principal);
  if (key === undefined) {
    const facts =
      principal.kind === 'agent'
        ? [principal.org, principal.project, principal.fleet, principal.role, principal.person, principal.runId, principal.assignedPaths]
        : [principal.groups, principal.roles, principal.disabled];
    key = JSON.stringify([principalName(principal), ...facts]);
    keys.set(principal, key);
  }
  return key;
};
