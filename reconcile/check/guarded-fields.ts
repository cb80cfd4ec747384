import { isWidePath } from '../../schema/reconcile/wide-path.ts';

const guards = [
  // who an object is, and who is let in
  /^\/(metadata|status|kind|apiVersion|subjects|roleRef)(\/|$)|\/(rules|serviceAccount|serviceAccountName|automountServiceAccountToken)(\/|$)/,
  // what is run, with what and where
  /\/(image|command|args|lifecycle|env|envFrom|volumes|imagePullSecrets|nodeName|tolerations|priorityClassName)(\/|$)/,
  // what it may do there
  /securityContext|\/host(Network|PID|IPC|Users|Path|Port|Aliases)/,
  // whom it reaches, and who reaches it
  /\/(policyTypes|egress|ingress|podSelector|selector|externalIPs|externalName)(\/|$)/,
];

/** Fields that say who an object is, or guard something, and whole parts of an object: nobody looks away from these. */
export const isGuardedField = (path: string): boolean => isWidePath(path) || guards.some((guard) => guard.test(path));
