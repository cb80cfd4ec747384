import pino from 'pino';

export type Logger = pino.Logger;

/** Field names whose values never reach a log, wherever they stand in the first three levels of a record. */
const secretFields = [
  'authorization',
  'token',
  'accessToken',
  'adminToken',
  'reviewerToken',
  'apiKey',
  'secret',
  'password',
  'key',
  'databaseUrl',
];

const redactPaths = secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/**
 * Makes a JSON-lines logger for one process or part.
 * Records are structured; secrets by field name are replaced, and callers pass ids and codes, never arguments, results or tokens.
 * @param options.name - process or part, e.g. `gateway`
 * @param options.level - pino level; `info` by default
 */
export const createLogger = ({ name, level = 'info' }: { name: string; level?: string }): Logger =>
  pino(
    { name, level, redact: { paths: redactPaths, censor: '[redacted]' }, base: { name, pid: process.pid } },
    pino.destination({ dest: 2, sync: false }),
  );
