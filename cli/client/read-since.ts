import { usageError } from '../output/cli-error.ts';
import { parseDuration } from '../output/units.ts';

/** Reads `--since`: an instant as it is, or a time before now. @throws {CliError} when it is neither */
export const readSince = (text: string): string => {
  const ago = parseDuration(text);
  const at = ago === undefined ? new Date(text) : new Date(Date.now() - ago);
  if (Number.isNaN(at.getTime()))
    throw usageError(`--since ${text} is neither a time such as 10m nor an instant such as 2026-03-01T12:00:00Z`);
  return at.toISOString();
};
