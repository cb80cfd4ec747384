import { PlatformError, toPlatformError } from '../../schema/errors.ts';
import { credentialErrorIn } from '../credentials/credential-error.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Notification } from '../mcp/message.ts';
import { isDeclared } from './is-declared.ts';
import type { ListenHub } from './listen-hub.ts';
import { type Entry, isReady, type ReadyEntry } from './server-entry.ts';
import { isDeadline, isUnreachable } from './unavailable.ts';

export type ServerLooks = {
  /** Says to the breaker how an opening or a look went; what is not the server's fault says nothing. */
  judge<Result>(entry: Entry, work: Promise<Result>): Promise<Result>;
  /** Looks again, or waits for the look that is under way. @throws {PlatformError} */
  look(entry: ReadyEntry): Promise<void>;
  /** Looks again in the background; a server that does not answer is taken out. */
  refresh(entry: Entry): Promise<void>;
  /** A server told of something that belongs to no request. */
  notified(entry: Entry, notification: Notification): void;
};

/** Comparisons of open servers with their pins: when they are made, who hears of what changed, and what a failure means. */
export const createServerLooks = ({
  context,
  hubOf,
  isPresent,
  retire,
}: {
  context: GatewayContext;
  hubOf: (key: string) => ListenHub | undefined;
  isPresent: (entry: Entry) => boolean;
  retire: (entry: Entry) => Promise<void>;
}): ServerLooks => {
  const judge: ServerLooks['judge'] = async (entry, work) => {
    const { place, open } = entry;
    const { breaker } = entry.health;
    const startedAt = performance.now();
    try {
      const result = await work;
      breaker.succeeded();
      return result;
    } catch (error) {
      const isBusy = isDeadline(error) && open?.heardSince(startedAt) === true;
      const isFault = error instanceof PlatformError && error.code === 'server_unavailable' && !isBusy && !credentialErrorIn(error);
      if (isFault && isDeclared(context, place.server)) breaker.failed({ isUnreachable: isUnreachable(error) });
      throw error;
    }
  };

  const look = (entry: ReadyEntry): Promise<void> => {
    const work = async (): Promise<void> => {
      const told = [...entry.told];
      entry.told.clear();
      const changed = await judge(entry, entry.open.lookAgain());
      // only now: who reads the lists again is to see what was found
      for (const list of new Set([...told, ...changed])) hubOf(entry.place.key)?.deliver({ method: `notifications/${list}/list_changed` });
    };
    entry.looking ??= work().finally(() => {
      delete entry.looking;
    });
    return entry.looking;
  };

  const refresh = async (entry: Entry): Promise<void> => {
    // one that began before the change was told does not see it
    await entry.looking?.catch(() => undefined);
    if (!isPresent(entry) || !isReady(entry)) return;
    try {
      await look(entry);
    } catch (error) {
      const { detail } = toPlatformError(error);
      context.logger.info({ server: entry.place.server.metadata.name, detail }, 'a server does not answer any more');
      await retire(entry);
    }
  };

  return {
    judge,
    look,
    refresh,
    notified: (entry, notification) => {
      const list = /^notifications\/(tools|prompts|resources)\/list_changed$/.exec(notification.method)?.[1];
      if (list === undefined) {
        hubOf(entry.place.key)?.deliver(notification);
        return;
      }
      const isKnown = entry.told.has(list);
      entry.told.add(list);
      entry.open?.inspection.markStale();
      if (!isKnown) void refresh(entry);
    },
  };
};
