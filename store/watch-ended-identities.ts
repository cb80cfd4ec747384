import { z } from 'zod';
import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { listenTo } from './listen-to.ts';

const channel = 'quarterdeck_identity_ended';

/** A run whose tokens are good no more, or one agent of it. */
const EndedIdentitySchema = z.object({ org: z.string(), project: z.string(), run: z.string(), agent: z.string().optional() });
export type EndedIdentity = z.infer<typeof EndedIdentitySchema>;

/**
 * Hears from Postgres when a run or an agent has ended or was revoked (triggers `runs_identity_ended`, `agents_identity_ended`). Listening
 * begins by itself, and again whenever the connection was lost; what is said meanwhile is lost, so whoever relies on it also looks.
 * @param options.onListening - called each time listening begins
 */
export const watchEndedIdentities = ({
  database,
  logger,
  onEnded,
  onListening,
  retryDelayMs,
}: {
  database: Database;
  logger: Logger;
  onEnded: (ended: EndedIdentity) => void;
  onListening: () => void;
  retryDelayMs?: number;
}): { close(): void } => {
  const onMessage = (payload: string): void => {
    try {
      onEnded(EndedIdentitySchema.parse(JSON.parse(payload)));
    } catch (error) {
      logger.warn({ err: error }, 'the database said something unreadable about a run that ended');
      onListening();
    }
  };
  return listenTo(channel, { database, logger, onMessage, onListening, retryDelayMs });
};
