import type { EdgeRequest } from '../edge/legacy-edge.ts';
import type { ListKind, Surface } from '../surface/surface.ts';
import type { Session } from './session.ts';

export const listKinds: readonly ListKind[] = ['tools', 'prompts', 'resources'];

export const listChangedText = (kind: ListKind): string => `{"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"}`;

/**
 * Tells sessions whose stream is open here that lists have changed, and keeps watching for a while after the connection is gone: the
 * client may come back for what it missed.
 * @param options.say - puts a message into the session's stream, if this replica holds it
 */
export const createListWatch = ({
  surface,
  say,
  lingerMs,
}: {
  surface: Pick<Surface, 'watchLists'>;
  say: (session: string, message: string) => void;
  lingerMs: number;
}) => {
  type Watch = { readers: number; stop: () => void; timer: NodeJS.Timeout | undefined };
  const watches = new Map<string, Watch>();

  const drop = (session: string): void => {
    const watch = watches.get(session);
    clearTimeout(watch?.timer);
    watch?.stop();
    watches.delete(session);
  };

  return {
    /** Watches with what the newest connection's caller may see. @returns to be called when that connection is gone */
    open: ({ principal, endpoint }: EdgeRequest, { id }: Session): (() => void) => {
      const readers = (watches.get(id)?.readers ?? 0) + 1;
      drop(id);
      const stop = surface.watchLists(principal, endpoint, (kind) => say(id, listChangedText(kind)));
      watches.set(id, { readers, stop, timer: undefined });
      return () => {
        const watch = watches.get(id);
        if (!watch) return;
        watch.readers -= 1;
        if (watch.readers === 0) watch.timer = setTimeout(() => drop(id), lingerMs).unref();
      };
    },
    sessionEnded: drop,
    close: (): void => {
      for (const session of [...watches.keys()]) drop(session);
    },
  };
};
