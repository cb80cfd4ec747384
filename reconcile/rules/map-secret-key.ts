import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import { valueAt } from '../json-pointer.ts';
import { hasSymptom, type Rule } from './rule.ts';

type Lost = { container: string; variable: string; secret: string; key: string };

const listAt = (state: unknown, pointer: string): unknown[] => {
  const found = valueAt(state, pointer);
  return Array.isArray(found) ? found : [];
};

/** `api_token`, `API-TOKEN` and `apiToken` are one name in three spellings. */
const spelling = (name: string): string => name.replaceAll(/[-_.]/g, '').toLowerCase();

const keysOf = (secret: ObservedObject): string[] => {
  const data = valueAt(secret.state, '/data');
  return typeof data === 'object' && data !== null ? Object.keys(data) : [];
};

/** Variables that are to come from a key which their Secret, as it is seen, does not have. */
const lostKeys = (state: unknown, secretOf: (name: string) => ObservedObject | undefined): Lost[] =>
  listAt(state, '/spec/template/spec/containers').flatMap((container) =>
    listAt(container, '/env').flatMap((variable): Lost[] => {
      const [secret, key] = [valueAt(variable, '/valueFrom/secretKeyRef/name'), valueAt(variable, '/valueFrom/secretKeyRef/key')];
      const seen = typeof secret === 'string' ? secretOf(secret) : undefined;
      if (seen === undefined || typeof key !== 'string' || keysOf(seen).includes(key)) return [];
      return [{ container: String(valueAt(container, '/name')), variable: String(valueAt(variable, '/name')), secret: seen.ref.name, key }];
    }),
  );

/** K05: where the key has been spelled anew, and only one can be meant, it is that one; else its owner is asked. No value is ever read. */
export const mapSecretKey: Rule = {
  name: 'map-secret-key',
  description: 'A variable whose key a Secret has no more takes the one key of that name in another spelling; else the owner is asked.',
  mends: ['K05'],
  cap: { times: 1, withinSeconds: 3600 },
  verified: 'The containers start and are ready.',
  undone: 'The variable comes from the key of before.',
  fix: (facts) => {
    const { drift, observation, seen } = facts;
    if (drift.kind !== 'unhealthy' || !hasSymptom(facts, 'CreateContainerConfigError', 'CrashLoopBackOff')) return undefined;
    const secretOf = (name: string): ObservedObject | undefined =>
      [...observation.objects, ...observation.neighbours].find(
        ({ ref }) => ref.kind === 'Secret' && ref.namespace === drift.object.namespace && ref.name === name,
      );
    const [lost, ...more] = lostKeys(seen?.state, secretOf);
    // two operations on one object are no plan: several at once take a look
    if (lost === undefined || more.length > 0) return undefined;
    const { container, variable, secret, key } = lost;
    const names = [spelling(key), spelling(variable)];
    const meant = keysOf(secretOf(secret) as ObservedObject).filter((one) => names.includes(spelling(one)));
    const [only] = meant;
    if (only !== undefined && meant.length === 1)
      return [{ op: 'setSecretKey', object: drift.object, container, variable, secret, key: only }];
    return [
      {
        op: 'askOwner',
        object: drift.object,
        question: `The Secret ${secret} has no key ${key}, from which ${variable} of ${container} is to come. Which key is meant?`,
      },
    ];
  },
};
