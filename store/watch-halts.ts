import type { Halt } from '../schema/halt.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { listHalts } from './halts.ts';

export type HaltWatch = {
  /** When the database was asked what is halted, for the last answer there is; by `performance.now()`. */
  readonly asOfMs: number;
  /** Looks now; resolves when whatever was halted before the call is known. @throws {PlatformError} `store_unavailable` */
  refresh(): Promise<void>;
  close(): Promise<void>;
};

/**
 * Keeps a process's view of what is halted: read when Postgres notifies, and every `pollMs` besides, since a notice can be lost. While the
 * database is away the view grows old, which `asOfMs` says: whoever relies on it has to refuse then.
 * @param options.onChange - called with each view that differs from the last
 */
export const watchHalts = async ({
  database,
  logger,
  onChange,
  pollMs = 600,
}: {
  database: Database;
  logger: Logger;
  onChange: (halts: Halt[]) => void;
  pollMs?: number;
}): Promise<HaltWatch> => {
  let asOfMs = Number.NEGATIVE_INFINITY;
  let seen: string | undefined;
  let isClosed = false;
  let isListening = false;
  let release: (() => void) | undefined;
  let reading: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  const read = async (): Promise<void> => {
    const askedAtMs = performance.now();
    const halts = await listHalts(database);
    const text = JSON.stringify(halts);
    if (text !== seen) onChange(halts);
    seen = text;
    asOfMs = askedAtMs;
  };
  const begin = (): Promise<void> => {
    reading = read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  /** A read under way may have begun before the change, so whoever asks meanwhile shares the one after it. */
  const refresh = (): Promise<void> => {
    if (!reading) return begin();
    next ??= reading
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };

  const listen = async (): Promise<void> => {
    isListening = true;
    try {
      const client = await database.$client.connect();
      const lose = (): void => {
        if (release !== lose) return;
        release = undefined;
        isListening = false;
        client.release(true);
      };
      release = lose;
      client.on('error', lose);
      client.on('notification', () => void refresh().catch(() => undefined));
      await client.query('listen quarterdeck_halts');
    } catch (error) {
      release?.();
      isListening = false;
      throw error;
    }
  };

  await listen();
  await refresh();
  const tick = (): void => {
    if (isClosed) return;
    if (!isListening) listen().catch(() => undefined); // the poll says what a notice would have, a little later
    if (!reading) begin().catch((error) => logger.debug({ err: error }, 'what is halted could not be read'));
  };
  const timer = setInterval(tick, pollMs);
  timer.unref();

  return {
    get asOfMs() {
      return asOfMs;
    },
    refresh,
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      release?.();
      await Promise.allSettled([reading, next]);
    },
  };
};
