import { isWidePath } from '../../schema/reconcile/wide-path.ts';

const guards =
  /^\/(metadata|status|kind|apiVersion)(\/|$)|securityContext|\/rules(\/|$)|\/policyTypes|serviceAccount|\/image$|\/host(Network|PID|IPC)/;

/** Fields that say who an object is, or guard something, and whole parts of an object: nobody looks away from these. */
export const isGuardedField = (path: string): boolean => isWidePath(path) || guards.test(path);
