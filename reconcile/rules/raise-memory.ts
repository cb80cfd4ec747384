import { valueAt } from '../json-pointer.ts';
import { readQuantity, writeMemory } from '../quantity.ts';
import { hasSymptom, type Rule } from './rule.ts';

/** K06: a quarter more memory, twice; then it is taken for a leak and escalated. */
export const raiseMemory: Rule = {
  name: 'raise-memory',
  description: 'A container that runs out of memory gets a quarter more, at most twice a day.',
  cap: { times: 2, withinSeconds: 86_400 },
  fix: (facts) => {
    const { drift, seen } = facts;
    if (drift.kind !== 'unhealthy' || !hasSymptom(facts, 'OOMKilled')) return undefined;
    const containers = valueAt(seen?.state, '/spec/template/spec/containers');
    // with several containers the symptom does not say which: that takes a look
    if (!Array.isArray(containers) || containers.length !== 1) return undefined;
    const limit = valueAt(containers[0], '/resources/limits/memory');
    const bytes = typeof limit === 'string' ? readQuantity(limit) : undefined;
    const container = valueAt(containers[0], '/name');
    if (bytes === undefined || typeof container !== 'string') return undefined;
    return [{ op: 'setResources', object: drift.object, container, memoryLimit: writeMemory(bytes * 1.25) }];
  },
};
