import { hasSymptom, type Rule } from './rule.ts';

/** K14: nothing is drained, tolerated or raised for it; it is waited for, and then people are asked. */
export const waitForCapacity: Rule = {
  name: 'wait-for-capacity',
  description: 'Pods that find no node or quota are waited for, three times; then people are asked.',
  mends: ['K14'],
  cap: { times: 3, withinSeconds: 3600 },
  verified: 'Nothing is done.',
  undone: 'Nothing is done.',
  fix: (facts) =>
    facts.drift.kind === 'unhealthy' && hasSymptom(facts, 'Unschedulable', 'FailedScheduling', 'QuotaExceeded')
      ? [{ op: 'wait', object: facts.drift.object, seconds: 300 }]
      : undefined,
};
