import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';

/**
 * Hears what is said on a channel of Postgres. Listening begins by itself, and again whenever the connection was lost; what is said
 * meanwhile is lost, so whoever relies on it also looks.
 * @param options.onMessage - takes the payload; it does not throw
 * @param options.onListening - called each time listening begins
 */
export const listenTo = (
  channel: string,
  {
    database,
    logger,
    onMessage,
    onListening,
    retryDelayMs = 500,
  }: {
    database: Database;
    logger: Logger;
    onMessage: (payload: string) => void;
    onListening: () => void;
    retryDelayMs?: number | undefined;
  },
): { close(): void } => {
  let closed = false;
  let release: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;

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
    client.on('notification', ({ payload = '' }) => onMessage(payload));
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
