import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { type Declared, loadDeclared } from './declared.ts';

/**
 * Keeps a process's view of what is declared: read at the start, again when Postgres notifies, and every `pollMs` as a backstop.
 * While the database is away the last view stays.
 * @param options.onChange - called with each view that differs from the last in more than what was observed of resources, one at a time;
 *   the first call is awaited before the watch is returned
 */
export const watchDeclared = async ({
  database,
  logger,
  onChange,
  pollMs = 5000,
}: {
  database: Database;
  logger: Logger;
  onChange: (declared: Declared) => void | Promise<void>;
  pollMs?: number;
}): Promise<{ close(): Promise<void>; refresh(): Promise<void> }> => {
  let closed = false;
  let release: (() => void) | undefined;
  let running: Promise<void> | undefined;
  let again = false;

  let last: Declared | undefined;
  const readOnce = async (): Promise<void> => {
    const next = await loadDeclared(database, last);
    if (next === last) return;
    await onChange(next);
    last = next;
  };
  const refresh = (): Promise<void> => {
    again = true;
    running ??= (async () => {
      while (again && !closed) {
        again = false;
        await readOnce().catch((error) => logger.warn({ err: error }, 'the declared resources could not be read; the last view stays'));
      }
    })().finally(() => {
      running = undefined;
    });
    return running;
  };

  const listen = async (): Promise<void> => {
    const client = await database.$client.connect();
    let lost = false;
    const lose = () => {
      if (lost) return;
      lost = true;
      release = undefined;
      client.release(true);
    };
    release = lose;
    client.on('error', lose);
    client.on('notification', () => void refresh());
    await client.query('listen quarterdeck_declared');
  };

  await readOnce();
  await listen();
  const timer = setInterval(() => {
    if (closed) return;
    if (!release) listen().catch((error) => logger.warn({ err: error }, 'the database does not take a listener; trying again'));
    void refresh();
  }, pollMs);
  timer.unref();

  return {
    refresh,
    close: async () => {
      closed = true;
      clearInterval(timer);
      release?.();
      await running;
    },
  };
};
