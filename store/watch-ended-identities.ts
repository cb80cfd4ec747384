import { z } from 'zod';
import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';

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
  retryDelayMs = 500,
}: {
  database: Database;
  logger: Logger;
  onEnded: (ended: EndedIdentity) => void;
  onListening: () => void;
  retryDelayMs?: number;
}): { close(): void } => {
  let closed = false;
  let release: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;

  const take = (payload: string): void => {
    try {
      onEnded(EndedIdentitySchema.parse(JSON.parse(payload)));
    } catch (error) {
      logger.warn({ err: error }, 'the database said something unreadable about a run that ended');
      onListening();
    }
  };
  const listen = async (): Promise<void> => {
    const client = await database.$client.connect();
    let isHeld = true;
    const lose = (): void => {
      if (!isHeld) return;
      isHeld = false;
      release = undefined;
      client.release(true);
      listenSoon();
    };
    if (closed) return client.release();
    release = lose;
    client.on('error', lose);
    client.on('end', lose);
    client.on('notification', ({ payload = '' }) => take(payload));
    await client.query(`listen ${channel}`);
    if (isHeld) onListening();
  };
  const begin = (): void => {
    timer = undefined;
    listen().catch((error) => {
      logger.warn({ err: error }, 'the database does not take a listener; trying again');
      if (release) release();
      else listenSoon();
    });
  };
  const listenSoon = (): void => {
    if (closed || timer) return;
    timer = setTimeout(begin, retryDelayMs);
    timer.unref();
  };

  begin();
  return {
    close: () => {
      closed = true;
      clearTimeout(timer);
      release?.();
    },
  };
};
