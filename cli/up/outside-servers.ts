import { cannotStart } from './cannot-start.ts';
import { waitForPostgres } from './postgres.ts';
import { waitForTemporal } from './temporal.ts';

const answerWithinMs = 5_000;

/** The first cause with a code, else the text of the error; neither holds the password. */
const causeOf = (error: unknown): string => {
  const { code, message, errors } = error as { code?: string; message?: string; errors?: unknown[] };
  if (Array.isArray(errors) && errors[0]) return causeOf(errors[0]);
  return message || code || String(error);
};

/** @throws {PlatformError} `input_invalid`, naming host and database of DATABASE_URL and what it answers, never the password */
export const checkOutsidePostgres = async (databaseUrl: string, signal?: AbortSignal): Promise<void> => {
  try {
    await waitForPostgres(databaseUrl, { deadlineMs: answerWithinMs, signal });
  } catch (error) {
    signal?.throwIfAborted();
    const { host, pathname } = new URL(databaseUrl);
    throw cannotStart(`DATABASE_URL: the database ${pathname.slice(1)} at ${host} cannot be used: ${causeOf(error)}.`, error);
  }
};

/** @throws {PlatformError} `input_invalid`, naming TEMPORAL_ADDRESS */
export const checkOutsideTemporal = async (place: { address: string; namespace: string }, signal?: AbortSignal): Promise<void> => {
  try {
    await waitForTemporal(place, { deadlineMs: answerWithinMs, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw cannotStart(
      `TEMPORAL_ADDRESS: the Temporal server at ${place.address} does not answer for the namespace ${place.namespace}: check both, or unset it.`,
      error,
    );
  }
};
