import type { ArgumentFacts } from './argument-facts.ts';
import { setLiteral } from './policy-text.ts';

/** So many different values are written out; of more, what can be said of all of them holds. */
const mostPaths = 20;
const mostHosts = 100;

export type SeenArguments = { facts: ArgumentFacts; assignedPaths: readonly string[] };

const union = (sets: readonly (readonly string[])[]): string[] => [...new Set(sets.flat())].sort();

/** Room for one that is a little longer than those that were seen, and no more than twice that. */
const roundUp = (most: number): number => 2 ** Math.ceil(Math.log2(Math.max(most, 1)));

const rootsCondition = (roots: readonly string[][]): string => {
  const all = union(roots);
  if (all.length === 0) return 'context.arguments.roots.isEmpty()';
  const isOne = new Set(roots.map((each) => JSON.stringify(each.toSorted()))).size === 1;
  return isOne ? `context.arguments.roots == ${setLiteral(all)}` : `${setLiteral(all)}.containsAll(context.arguments.roots)`;
};

/** Paths are held by the agent's own where all were, else by their names where these are few; else the roots alone hold them. */
const pathsCondition = (seen: readonly SeenArguments[]): string | undefined => {
  const all = union(seen.map(({ facts }) => facts.paths));
  if (all.length === 0) return 'context.arguments.paths.isEmpty()';
  const areOwn = seen.every(({ facts, assignedPaths }) => facts.paths.every((path) => assignedPaths.includes(path)));
  if (areOwn) return 'principal.assignedPaths.containsAll(context.arguments.paths)';
  const areRooted = seen.every(({ facts }) => facts.paths.length === 0 || facts.roots.length > 0);
  return areRooted || all.length > mostPaths ? undefined : `${setLiteral(all)}.containsAll(context.arguments.paths)`;
};

const hostsCondition = (hosts: readonly string[][]): string | undefined => {
  const all = union(hosts);
  if (all.length === 0) return 'context.arguments.hosts.isEmpty()';
  return all.length > mostHosts ? undefined : `${setLiteral(all)}.containsAll(context.arguments.hosts)`;
};

/**
 * The narrowest conditions, in Cedar, that hold for all of the arguments that were seen, without being a list of the calls.
 * @returns conditions, and what could not be narrowed
 */
export const shapeOf = (seen: readonly SeenArguments[]): { conditions: string[]; notes: string[] } => {
  const facts = seen.map((each) => each.facts);
  const paths = pathsCondition(seen);
  const hosts = hostsCondition(facts.map((each) => each.hosts));
  const hasUrls = facts.some(({ urls }) => urls.length > 0);
  const conditions = [
    rootsCondition(facts.map(({ roots }) => roots)),
    paths,
    hosts,
    hasUrls ? undefined : 'context.arguments.urls.isEmpty()',
    `context.arguments.bytes <= ${roundUp(Math.max(...facts.map(({ bytes }) => bytes)))}`,
  ].filter((condition) => condition !== undefined);
  const count = union(facts.map((each) => each.paths)).length;
  const isOpen = paths === undefined && facts.every(({ roots }) => roots.length === 0);
  return {
    conditions,
    notes: [
      ...(isOpen ? [`its ${count} different paths are in no known folder and too many to be listed, so any path is permitted`] : []),
      ...(hosts === undefined ? ['its hosts are too many to be listed, so any host is permitted'] : []),
      ...(hasUrls ? ['URLs are held by their hosts alone'] : []),
    ],
  };
};

/** The same for the tokens that answers of a model may have. */
export const tokensCondition = (maxTokens: readonly number[]): string => `context.maxTokens <= ${roundUp(Math.max(...maxTokens))}`;
