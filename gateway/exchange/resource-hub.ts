import { qualifiedName } from '../../schema/ids.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { isPerCaller } from '../credentials/auth-of.ts';
import { isPerRun, type RunOfServer } from '../mcp/launch-of.ts';
import type { Notification } from '../mcp/message.ts';
import type { CallerOfServer } from '../upstream/upstream.ts';
import type { Listening, McpServer, UpstreamPool } from '../upstream/upstream-pool.ts';

type OnUpdate = (uri: string) => void;
type Entry = { listeners: Set<OnUpdate>; opened: Promise<Listening> };
export type ResourceHub = ReturnType<typeof createResourceHub>;

/** All who want to hear of a resource share one subscription at its server, however many they are. */
export const createResourceHub = ({ pool, logger }: { pool: Pick<UpstreamPool, 'listen'>; logger: Logger }) => {
  const entries = new Map<string, Entry>();

  const open = (key: string, server: McpServer, run: RunOfServer | undefined, uri: string, caller?: CallerOfServer): Entry => {
    const listeners = new Set<OnUpdate>();
    const tell = ({ method, params }: Notification): void => {
      const changed = typeof params?.uri === 'string' ? params.uri : uri;
      if (method === 'notifications/resources/updated') for (const listener of listeners) listener(changed);
    };
    const opened = pool.listen(server, run, { resources: [uri] }, tell, caller);
    const entry: Entry = { listeners, opened };
    entries.set(key, entry);
    opened.catch((error: unknown) => {
      logger.debug({ err: error, server: server.metadata.name }, 'a server takes no subscription');
      if (entries.get(key) === entry) entries.delete(key);
    });
    return entry;
  };

  const leave = (key: string, entry: Entry, listener: OnUpdate): void => {
    if (!entry.listeners.delete(listener) || entry.listeners.size > 0 || entries.get(key) !== entry) return;
    entries.delete(key);
    entry.opened.then(
      (listening) => listening.close(),
      () => undefined,
    );
  };

  return {
    /**
     * Hears of a resource's changes.
     * @param uri - as the server spells it; the listener may be told of a part of it
     * @param caller - whose credential it takes, where each has one of their own
     * @returns what ends it; undefined where the server does not take the subscription
     */
    subscribe: async (
      server: McpServer,
      runOfCaller: RunOfServer | undefined,
      uri: string,
      listener: OnUpdate,
      caller: CallerOfServer,
    ): Promise<(() => void) | undefined> => {
      const run = isPerRun(server) ? runOfCaller : undefined;
      // what a person may read there is nobody else's to hear of
      const own = isPerCaller(server) ? caller : undefined;
      const key = `${qualifiedName(server.metadata, server.metadata.name)} ${server.uid} ${run?.runId ?? ''} ${own?.principal ?? ''} ${uri}`;
      const entry = entries.get(key) ?? open(key, server, run, uri, own);
      entry.listeners.add(listener);
      const { accepted } = await entry.opened.catch((): Pick<Listening, 'accepted'> => ({ accepted: {} }));
      const stop = (): void => leave(key, entry, listener);
      if (accepted.resources?.includes(uri)) return stop;
      stop();
      return undefined;
    },
    get size() {
      return entries.size;
    },
  };
};
