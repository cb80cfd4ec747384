import type { Worker } from './worker.ts';

const longestId = 2048;
const segment = /^[A-Za-z0-9._-]+$/;
/** What the path of an agent's worker may name, in this order; a project where the org has several. */
const named = ['org', 'project', 'fleet', 'agent'] as const;

const readLimits = (path: readonly string[]): Worker['limits'] | undefined => {
  const limits: Record<string, string> = {};
  let last = -1;
  for (let at = 0; at < path.length; at += 2) {
    const [key, value] = [named.indexOf(path[at] as (typeof named)[number]), path[at + 1]];
    if (key <= last || value === undefined) return undefined;
    last = key;
    const limit = named[key] ?? '';
    limits[limit === 'agent' ? 'role' : limit] = value;
  }
  return limits.org === undefined ? undefined : limits;
};

/**
 * Reads which agents the worker of a SPIFFE id may ask for. `spiffe://DOMAIN/worker-pool/TIER` is a pool of a trust tier;
 * `spiffe://DOMAIN/org/ORG[/project/PROJECT][/fleet/FLEET][/agent/ROLE]` is a worker for these agents alone.
 * @returns undefined for an id of another domain, or that says something else
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md#2-spiffe-identity
 */
export const readSpiffeId = (id: string, trustDomain: string): Worker | undefined => {
  const prefix = `spiffe://${trustDomain}/`;
  if (id.length > longestId || !id.startsWith(prefix)) return undefined;
  const path = id.slice(prefix.length).split('/');
  if (!path.every((each) => segment.test(each) && each !== '.' && each !== '..')) return undefined;
  if (path[0] === 'worker-pool' && path.length === 2) return { name: id, trustTier: path[1] ?? '', limits: {} };
  const limits = readLimits(path);
  return limits && { name: id, trustTier: 'default', limits };
};
