import { valueAt } from '../json-pointer.ts';
import { readQuantity, writeMemory } from '../quantity.ts';
import { hasSymptom, type Rule } from './rule.ts';

/** K06: a quarter more memory, twice; then it is taken for a leak and escalated. */
export const raiseMemory: Rule = {
  name: 'raise-memory',
  description: 'A container that runs out of memory gets a quarter more, at most twice a day.',
  mends: ['K06'],
  cap: { times: 2, withinSeconds: 86_400 },
  verified: 'The containers run and are ready.',
  undone: 'The limit of before.',
  fix: (facts) => {
    const { drift, seen } = facts;
    if (drift.kind !== 'unhealthy' || !hasSymptom(facts, 'OOMKilled')) return undefined;
    const containers = valueAt(seen?.state, '/spec/template/spec/containers');
    if (!Array.isArray(containers)) return undefined;
    // which of several it is says the adapter, before anything that the container says
    const named = drift.symptoms.map(({ code, message }) => code === 'OOMKilled' && /^container ([a-z0-9-]+):/.exec(message)?.[1]);
    const killed = containers.length === 1 ? containers : containers.filter((one) => named.includes(String(valueAt(one, '/name'))));
    if (killed.length !== 1) return undefined;
    const limit = valueAt(killed[0], '/resources/limits/memory');
    const bytes = typeof limit === 'string' ? readQuantity(limit) : undefined;
    const container = valueAt(killed[0], '/name');
    if (bytes === undefined || typeof container !== 'string') return undefined;
    return [{ op: 'setResources', object: drift.object, container, memoryLimit: writeMemory(bytes * 1.25) }];
  },
};
