import type { ArgumentFacts, LexicalFacts } from '../../policy/argument-facts.ts';
import type { ResolvedPath } from '../../schema/server-launch.ts';
import type { Connection } from '../upstream/upstream.ts';
import type { McpServer } from '../upstream/upstream-pool.ts';

/** Stands among the roots for a path in no volume; no volume can have that name. */
const outsideVolumes = '(none)';
/** As many paths as the host resolves at once. */
const atOnce = 500;
/** Characters; Linux opens no longer one. */
const longestPath = 4096;

const volumeNameAt = ({ spec }: McpServer, at: string | null): string | undefined =>
  'url' in spec || at === null ? undefined : spec.volumes.find((volume) => volume.at === at)?.name;

const withResolved = (server: McpServer, facts: LexicalFacts, resolved: ResolvedPath[]): ArgumentFacts => {
  const volumes = new Set(resolved.map(({ volumes: at }) => volumeNameAt(server, at) ?? outsideVolumes));
  return {
    ...facts,
    paths: resolved.map(({ path, canonical }) => canonical ?? path).sort(),
    roots: [...volumes].sort(),
    // a path in no volume is plainly spelled and in no root; one that leads out of its volume is a trick
    canonical: resolved.every(({ escapes, volumes: at }) => !escapes || at === null),
  };
};

/**
 * Completes what the spelling tells with what the process that holds the folders knows: where links lead, and into which volumes. A path
 * that leads out of its folder is not canonical. Several facts cost one question.
 * @throws whatever the host's answer fails with
 */
export const resolveFacts = async (
  server: McpServer,
  { resolvePaths }: Pick<Connection, 'resolvePaths'>,
  all: readonly LexicalFacts[],
): Promise<ArgumentFacts[]> => {
  // where a relative path begins is the server's affair, so nobody can say here what it names; nor what one names that no system opens
  const isResolved = ({ paths, canonical }: LexicalFacts): boolean =>
    canonical && paths.every((path) => path.startsWith('/') && path.length <= longestPath);
  const paths = resolvePaths ? [...new Set(all.filter(isResolved).flatMap((facts) => facts.paths))] : [];
  const known = new Map<string, ResolvedPath>();
  for (let from = 0; from < paths.length; from += atOnce)
    for (const resolved of (await resolvePaths?.(paths.slice(from, from + atOnce))) ?? []) known.set(resolved.path, resolved);
  return all.map((facts) => {
    if (!resolvePaths || facts.paths.length === 0 || !facts.canonical) return { ...facts, roots: [] };
    if (!isResolved(facts)) return { ...facts, roots: [], canonical: false };
    return withResolved(
      server,
      facts,
      facts.paths.flatMap((path) => known.get(path) ?? []),
    );
  });
};
