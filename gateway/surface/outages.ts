import { PlatformError } from '../../schema/errors.ts';
import type { JsonObject } from '../mcp/message.ts';
import type { UpstreamPool } from '../upstream/upstream-pool.ts';
import type { Source } from './exposed.ts';
import type { View } from './view.ts';

export const warningsMeta = 'quarterdeck.dev/warnings';

/** The sources whose server is not asked at the moment, or only tried, because its last calls had no answer. */
export const sourcesDown = (pool: Pick<UpstreamPool, 'healthOf'>, sources: readonly Source[]): readonly Source[] =>
  sources.filter(({ server }) => pool.healthOf(server) !== 'closed');

/** @throws {PlatformError} `server_unavailable` where the toolset of one of them wants no list rather than one that lacks something */
export const refuseIncomplete = (missing: readonly Source[]): void => {
  const closed = missing.find(({ whenServerFails }) => whenServerFails === 'closed');
  if (closed)
    throw new PlatformError(
      'server_unavailable',
      `A server of the toolset ${closed.toolset} does not answer, and the toolset shows all of itself or nothing; try again in a few seconds.`,
    );
};

/** What a list says of the servers that it lacks; a server is named to those who see something of it. */
export const warningsOf = (view: View, missing: readonly Source[]): JsonObject => {
  if (missing.length === 0) return {};
  const known = new Set((['tool', 'prompt', 'template'] as const).flatMap((kind) => view.list(kind).map(({ server }) => server.uid)));
  const warnings = missing.map(({ server }) => ({
    code: 'server_unavailable',
    message: 'A server does not answer; what it has is not listed.',
    ...(known.has(server.uid) ? { server: server.metadata.name } : {}),
  }));
  return { _meta: { [warningsMeta]: warnings } };
};
