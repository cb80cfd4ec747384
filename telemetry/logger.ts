import pino from 'pino';
import { allowedFields } from './logged-fields.ts';
import { redactor } from './redactor.ts';

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
 * Records are structured: callers pass ids and codes, never arguments, results or tokens. Texts are kept to the fields that may have any,
 * secrets by field name are replaced, and each line passes the redactor on its way out, whatever it was made from.
 * @param options.name - process or part, e.g. `gateway`
 * @param options.level - pino level; `info` by default
 */
export const createLogger = ({ name, level = 'info' }: { name: string; level?: string }): Logger =>
  pino(
    {
      name,
      level,
      redact: { paths: redactPaths, censor: '[redacted]' },
      base: { name, pid: process.pid },
      formatters: { log: allowedFields },
      hooks: { streamWrite: redactor.text },
    },
    pino.destination({ dest: 2, sync: false }),
  );
