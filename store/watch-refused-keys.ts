import type { Logger } from '../telemetry/logger.ts';
import type { Database } from './database.ts';
import { readAgain } from './read-again.ts';
import { listSigningKeys } from './signing-keys.ts';

/** A key that is denied is refused within five seconds; the rest is what a question to the database may take. */
const pollEveryMs = 2000;

/** Until when tokens of each key are taken, in milliseconds since the epoch; keys that are not named have no end yet. */
export type RefusedKeys = {
  /** Whether tokens of a key, or of one that is not named, are refused at a moment, whatever the issuer publishes or somebody remembers. */
  isRefused(kid: string | undefined, now: Date): boolean;
  /** Hears of keys that have just been found refused. */
  onRefused(listener: (kids: ReadonlySet<string>) => void): void;
  close(): Promise<void>;
};

/**
 * Follows which keys of the issuer are refused: those that were denied, and those whose time is over. While the database is away the last
 * view stays; nobody gets in then, since who a token is for is looked up there too.
 */
export const watchRefusedKeys = async ({
  database,
  logger,
  pollMs = pollEveryMs,
}: {
  database: Database;
  logger: Logger;
  pollMs?: number;
}): Promise<RefusedKeys> => {
  let refusedFrom = new Map<string, number>();
  let told: ReadonlySet<string> = new Set();
  const listeners = new Set<(kids: ReadonlySet<string>) => void>();

  const read = async (): Promise<void> => {
    const keys = await listSigningKeys(database);
    refusedFrom = new Map(keys.flatMap(({ kid, refusedFrom }) => (refusedFrom ? [[kid, refusedFrom.getTime()] as const] : [])));
    const refused = new Set(keys.filter(({ state }) => state === 'denied' || state === 'ended').map(({ kid }) => kid));
    const fresh = new Set([...refused].filter((kid) => !told.has(kid)));
    told = refused;
    if (fresh.size > 0) for (const listener of listeners) listener(fresh);
  };

  const reader = await readAgain({
    read,
    pollMs,
    onFailure: (error) => logger.warn({ err: error }, 'refused keys could not be read; the last view stays'),
  });

  return {
    // who names no key does not get round the end of its time
    isRefused: (kid, now) => kid === undefined || (refusedFrom.get(kid) ?? Number.POSITIVE_INFINITY) <= now.getTime(),
    onRefused: (listener) => void listeners.add(listener),
    close: reader.close,
  };
};
