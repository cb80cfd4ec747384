import type { McpBus } from '../../store/mcp-bus.ts';
import type { McpSubscriptionStore } from '../../store/mcp-subscriptions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { Reply } from '../mcp/message.ts';
import type { Surface } from '../surface/surface.ts';
import { onBehalfOf } from './on-behalf-of.ts';
import type { Session } from './session.ts';

/** On whose behalf a session is subscribed. */
export type Subscriber = Pick<ClientRequest, 'principal' | 'endpoint'> & { session: Session };

/**
 * Resources that sessions are subscribed to, as far as they concern more than one replica: one hears of changes for a session, and tells
 * it wherever its stream is. When it is gone, the replica where the stream is opened next subscribes again.
 */
export const createSubscriptions = ({
  store,
  surface,
  bus,
  logger,
}: {
  store: McpSubscriptionStore;
  surface: Pick<Surface, 'handle'>;
  bus: () => Pick<McpBus, 'tell'>;
  logger: Logger;
}) => {
  /** What this replica hears of. */
  const heard = new Map<string, { from: Subscriber; uris: Set<string> }>();

  const handle = (method: string, from: Subscriber, uri: string): Promise<Reply> =>
    surface.handle({ ...onBehalfOf(from), method, params: { uri }, notify: async () => undefined });
  const hear = (from: Subscriber, uri: string): void => {
    const known = heard.get(from.session.id);
    if (known) known.uris.add(uri);
    else heard.set(from.session.id, { from, uris: new Set([uri]) });
  };
  const quietly = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      logger.warn({ err: error }, 'subscriptions of a session could not be brought up to date');
    }
  };

  /** Forgets what the session has unsubscribed from at another replica. */
  const compare = (session: string): Promise<void> =>
    quietly(async () => {
      const known = heard.get(session);
      if (!known || known.uris.size === 0) return;
      const kept = new Set((await store.list(session)).map(({ uri }) => uri));
      for (const uri of [...known.uris].filter((each) => !kept.has(each))) {
        known.uris.delete(uri);
        await handle('resources/unsubscribe', known.from, uri);
      }
    });

  return {
    /** Notes what a request changed. */
    note: async (from: Subscriber, method: string, uri: unknown): Promise<void> => {
      const { id } = from.session;
      if (typeof uri !== 'string') return;
      if (method === 'resources/subscribe') {
        if (await store.add(id, uri)) hear(from, uri);
      } else {
        heard.get(id)?.uris.delete(uri);
        await store.remove(id, uri);
        bus().tell({ kind: 'session-changed', session: id });
      }
    },

    /** The session's stream was opened here: subscribes again to what a replica that is gone heard of. */
    takeOver: (from: Subscriber): Promise<void> =>
      quietly(async () => {
        if ((await store.list(from.session.id)).length === 0) return;
        for (const uri of await store.takeOver(from.session.id)) {
          const reply = await handle('resources/subscribe', from, uri);
          if (reply.kind === 'result') hear(from, uri);
          else await store.remove(from.session.id, uri);
        }
      }),

    onChanged: compare,
    /** Notices may have been missed. */
    lookAfterAll: async (): Promise<void> => {
      for (const session of [...heard.keys()]) await compare(session);
    },
    sessionEnded: (session: string): void => void heard.delete(session),
  };
};
export type Subscriptions = ReturnType<typeof createSubscriptions>;
