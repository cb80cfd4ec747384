import { createGroupCommit } from '../../store/group-commit.ts';
import type { McpSessionStore } from '../../store/mcp-sessions.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Session } from './session.ts';

/**
 * Writes down in the background, many at once, that sessions are in use, and hears whether they still are sessions.
 * @param options.onGone - called with one that has ended elsewhere
 */
export const createUseNotes = ({
  store,
  logger,
  now,
  idleSince,
  onGone,
}: {
  store: Pick<McpSessionStore, 'touch'>;
  logger: Logger;
  now: () => number;
  idleSince: () => Date;
  onGone: (session: Session) => void;
}) => {
  const notes = createGroupCommit({
    flush: async (ids: string[]) => {
      const there = await store.touch(ids, new Date(now()), idleSince());
      return ids.map((id) => there.has(id));
    },
    maxBatch: 1000,
  });
  return {
    note: (session: Session): void => {
      session.notedAt = now();
      notes.add(session.id).then(
        (isThere) => {
          if (!isThere && !session.hasEnded) onGone(session);
        },
        (error) => logger.warn({ err: error }, 'the use of sessions could not be written down'),
      );
    },
    drained: notes.drained,
  };
};
