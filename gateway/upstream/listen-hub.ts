import type { Notification } from '../mcp/message.ts';
import { type ChangeFeed, listKinds } from './change-feed.ts';
import type { ListenFilter } from './upstream.ts';
import type { Listening } from './upstream-pool.ts';

type Listener = { filter: ListenFilter; tell: (notification: Notification) => void };

export type ListenHub = {
  readonly size: number;
  deliver(notification: Notification): void;
  /** Something may have been missed: the lists are to be read again. */
  deliverAll(): void;
  /** The server as it is connected now, or no more. */
  attach(feed: ChangeFeed | undefined): void;
  /** As `attach`, unless it is attached already. */
  attachOnce(feed: ChangeFeed): void;
  /** @param isHopeful - subscriptions are accepted although the server cannot be asked at the moment */
  add(filter: ListenFilter, tell: (notification: Notification) => void, isHopeful: boolean): Promise<Listening>;
};

/** A change may be told of a part of what was subscribed to. */
const concerns = (uri: string, changed: unknown): boolean =>
  typeof changed === 'string' && (changed === uri || changed.startsWith(uri.endsWith('/') ? uri : `${uri}/`));

/** Those who listen to one server, over all connections to it that come and go. Its stream is one for all of them. */
export const createListenHub = (): ListenHub => {
  const listeners = new Set<Listener>();
  let feed: ChangeFeed | undefined;
  let asked: Promise<ReadonlySet<string>> = Promise.resolve(new Set<string>());

  const wanted = (): Set<string> => new Set([...listeners].flatMap(({ filter }) => filter.resources ?? []));
  /** One after the other, so that the last union is what counts in the end. */
  const ask = (): Promise<ReadonlySet<string>> => {
    asked = asked.then(async (before) => {
      const uris = wanted();
      const isSame = uris.size === before.size && [...uris].every((uri) => before.has(uri));
      return isSame ? before : ((await feed?.want(uris)) ?? new Set());
    });
    return asked;
  };
  const deliver = (notification: Notification): void => {
    const changed = notification.params?.uri;
    for (const { filter, tell } of listeners)
      if (
        notification.method === 'notifications/resources/updated'
          ? filter.resources?.some((uri) => concerns(uri, changed))
          : filter.lists && notification.method.endsWith('/list_changed')
      )
        tell(notification);
  };

  const attach = (next: ChangeFeed | undefined): void => {
    feed = next;
    asked = Promise.resolve(new Set<string>());
    if (next && wanted().size > 0) void ask();
  };

  return {
    get size() {
      return listeners.size;
    },
    deliver,
    deliverAll: () => {
      for (const kind of listKinds) deliver({ method: `notifications/${kind}/list_changed` });
    },
    attach,
    attachOnce: (next) => {
      if (feed !== next) attach(next);
    },
    add: async (filter, tell, isHopeful) => {
      const listener = { filter, tell };
      listeners.add(listener);
      const resources = filter.resources ?? [];
      const taken = resources.length === 0 ? new Set<string>() : await ask();
      const isTaken = (uri: string): boolean => taken.has(uri) || (isHopeful && !feed);
      return {
        accepted: {
          ...(filter.lists ? { lists: true } : {}),
          ...(filter.resources ? { resources: resources.filter(isTaken) } : {}),
        },
        close: () => {
          if (listeners.delete(listener) && resources.length > 0) void ask();
        },
      };
    },
  };
};
