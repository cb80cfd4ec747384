import type { GatewayContext } from '../gateway-context.ts';
import type { McpServer } from './upstream-pool.ts';

/** Not waited for longer: another replica may have seen something else meanwhile. */
const longestMs = 2000;

/**
 * Waits until what a server offered is what agents see here, so that a server that is said to be ready is.
 * @param offered - hashes by `kind/name`
 */
export const untilInForce = async (
  { declared, onDeclared }: Pick<GatewayContext, 'declared' | 'onDeclared'>,
  { metadata }: McpServer,
  offered: ReadonlyMap<string, string>,
): Promise<void> => {
  const isSeen = (): boolean =>
    (['tool', 'prompt', 'template'] as const).every((kind) => {
      const known = new Map(
        declared()
          .definitionsOf(metadata, metadata.name, kind)
          .map(({ name, currentHash }) => [`${kind}/${name}`, currentHash]),
      );
      return [...offered].every(([key, hash]) => !key.startsWith(`${kind}/`) || known.get(key) === hash);
    });
  if (isSeen()) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = onDeclared(() => {
    if (isSeen()) resolve();
  });
  const timer = setTimeout(resolve, longestMs);
  await promise;
  clearTimeout(timer);
  stop();
};
