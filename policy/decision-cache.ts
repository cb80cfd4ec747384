import type { Context } from '@cedar-policy/cedar-wasm/nodejs';
import { digestOf, type KnownRequest } from './known.ts';
import type { PolicyDecision } from './policy-decision.ts';
import type { Read } from './policy-reads.ts';
import { createRecentMap } from './recent-map.ts';

/** Decisions and read lists, in each half of the cache: some 10 MB. */
const halfSize = 20_000;
/** Characters; a decision on longer values is made anew each time. */
const longestKey = 4096;

/** What stands at a path of the context, as JSON; an entity ends the path, because its attributes are part of another digest. */
const valueAt = (context: Context, path: readonly string[]): string => {
  let value: unknown = context;
  for (const attribute of path) {
    if (typeof value !== 'object' || value === null || '__entity' in value) break;
    value = (value as Record<string, unknown>)[attribute];
  }
  // nothing there gives `undefined`, which is the JSON of no value
  return `${JSON.stringify(value)}`;
};

/** Paths of the context that the policies read, each once. */
const contextPaths = (reads: readonly Read[]): (readonly string[])[] => [
  ...new Map(reads.filter(({ variable }) => variable === 'context').map(({ path }) => [JSON.stringify(path), path])).values(),
];

/** What was decided where only who, what and where count; else by which values of the context it is found. */
type Entry = { decision: PolicyDecision } | { paths: (readonly string[])[] };

/**
 * Remembers decisions by all that they depend on: the policies in force, everything known of principal, resource and project, the action,
 * and the values that the applying policies read of the context. Which values those are depends on the rest alone, so it is remembered too.
 */
export const createDecisionCache = () => {
  const entries = createRecentMap<Entry>(halfSize);

  const keyWith = (base: string, paths: (readonly string[])[], context: Context): string =>
    paths.reduce((key, path) => `${key}\n${valueAt(context, path)}`, base); // JSON has no line break of its own

  const baseOf = (generation: number, { principal, action, resource, surroundings, forAnyArguments }: KnownRequest): string =>
    `${generation} ${forAnyArguments ? 'any ' : ''}${action} ${digestOf(principal)}${digestOf(resource)}${digestOf(surroundings)}`;

  return {
    find: (generation: number, known: KnownRequest): PolicyDecision | undefined => {
      const base = baseOf(generation, known);
      const entry = entries.get(base);
      const exact = entry && 'paths' in entry ? entries.get(keyWith(base, entry.paths, known.context)) : entry;
      return exact && 'decision' in exact ? exact.decision : undefined;
    },
    /** @param reads - where the applying policies look */
    remember: (generation: number, known: KnownRequest, decision: PolicyDecision, reads: readonly Read[]): void => {
      const base = baseOf(generation, known);
      const paths = contextPaths(reads);
      const key = keyWith(base, paths, known.context);
      if (key.length > longestKey) return;
      Object.freeze(decision.policies);
      Object.freeze(decision.advice);
      Object.freeze(decision.need);
      if (paths.length > 0) entries.set(base, { paths });
      entries.set(key, { decision: Object.freeze(decision) });
    },
  };
};
