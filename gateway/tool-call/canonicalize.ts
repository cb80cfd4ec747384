import { type ArgumentFacts, lexicalFacts } from '../../policy/argument-facts.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { required, runOf, type ToolCall, type ToolCallStep } from './tool-call.ts';

/** Stands among the roots for a path in no volume; no volume can have that name. */
const outsideVolumes = '(none)';

const volumeNameAt = ({ spec }: StoredResource<'McpServer'>, at: string | null): string | undefined =>
  'url' in spec || at === null ? undefined : spec.volumes.find((volume) => volume.at === at)?.name;

/** Facts with links resolved by the process that holds the folders. A path that leads out of its folder is not canonical. */
const resolvedFacts = async (call: ToolCall): Promise<ArgumentFacts> => {
  const { server, tool } = required(call.tool, 'the tool');
  const facts = lexicalFacts(call.arguments, server.spec.arguments[tool.name]);
  const resolvePaths = call.connection?.resolvePaths;
  if (!resolvePaths || facts.paths.length === 0 || !facts.canonical) return { ...facts, roots: [] };
  // where a relative path begins is the server's affair, so nobody can say here what it names
  if (facts.paths.some((path) => !path.startsWith('/'))) return { ...facts, roots: [], canonical: false };
  const resolved = await resolvePaths(facts.paths).catch((cause: unknown) => {
    // the host was started anew and has no such instance, or does not answer: the next try connects again
    call.upstreams.forget(server, runOf(call.principal));
    throw new PlatformError('server_unavailable', `The MCP server ${server.metadata.name} does not answer; try again in a moment.`, {
      cause,
    });
  });
  const volumes = new Set(resolved.map(({ volumes: at }) => volumeNameAt(server, at) ?? outsideVolumes));
  return {
    ...facts,
    paths: resolved.map(({ path, canonical }) => canonical ?? path).sort(),
    roots: [...volumes].sort(),
    // a path in no volume is plainly spelled and in no root; one that leads out of its volume is a trick
    canonical: resolved.every(({ escapes, volumes: at }) => !escapes || at === null),
  };
};

/** Turns path, URL and host arguments into the facts that policies decide on. */
export const canonicalize: ToolCallStep = async (call, next) => {
  call.facts = await resolvedFacts(call);
  return next();
};
