import { readFile, realpath } from 'node:fs/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { SecretReference } from '../../schema/resources/metadata.ts';

/** Variables that are about the platform itself: a provider's key is in none of them. */
const ownVariables = /^(QUARTERDECK_|DATABASE_URL$|TEMPORAL_|PG)/;

/** Where references may not lead: the environment is the process's, `privateDirectory` the installation's own data folder with its keys. */
export type SecretSources = { environment: Readonly<Record<string, string | undefined>>; privateDirectory?: string | undefined };

/**
 * Reads a referenced secret at the time of use; it is never stored. Keys of the installation itself cannot be referred to, or whoever
 * declares a provider could have them sent there.
 * @throws {PlatformError} `secret_unavailable`
 */
export const resolveSecret = async (reference: SecretReference, { environment, privateDirectory }: SecretSources): Promise<string> => {
  if ('env' in reference) {
    if (ownVariables.test(reference.env))
      throw new PlatformError(
        'secret_unavailable',
        `The environment variable ${reference.env} is the platform's own and cannot be referred to.`,
      );
    const value = environment[reference.env];
    if (!value)
      throw new PlatformError(
        'secret_unavailable',
        `The environment variable ${reference.env} is not set where the gateway runs; set it and restart Quarterdeck.`,
      );
    return value;
  }
  const unreadable = (cause?: unknown) =>
    new PlatformError(
      'secret_unavailable',
      `The secret file ${reference.file} cannot be read by the gateway; check that it exists, its permissions, and that it lies outside the data folder.`,
      { cause },
    );
  let text: string;
  try {
    const path = await realpath(reference.file);
    const own = privateDirectory === undefined ? undefined : await realpath(privateDirectory);
    if (path.startsWith('/proc/') || (own !== undefined && (path === own || path.startsWith(`${own}/`)))) throw unreadable();
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(cause);
  }
  return text.trim();
};
