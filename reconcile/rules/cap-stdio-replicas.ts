import { hasSymptom, type Rule } from './rule.ts';

/** K11: what was declared with one replica is capped by `reapply-declared`; this one is for what was declared with more by mistake. */
export const capStdioReplicas: Rule = {
  name: 'cap-stdio-replicas',
  description: 'A server over stdio that has no store for its sessions runs once: with a second replica its sessions jump.',
  mends: ['K11'],
  cap: { times: 1, withinSeconds: 3600 },
  verified: 'One replica runs and is ready.',
  undone: 'As many replicas as before.',
  fix: (facts) =>
    facts.drift.kind === 'unhealthy' && hasSymptom(facts, 'SessionsSplit')
      ? [{ op: 'scale', object: facts.drift.object, replicas: 1 }]
      : undefined,
};
