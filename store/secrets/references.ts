import { readFile } from 'node:fs/promises';
import { PlatformError } from '../../schema/errors.ts';
import type { SecretReference } from '../../schema/resources/metadata.ts';

/**
 * Reads a referenced secret at the time of use; it is never stored.
 * @param environment - the process's environment, handed in by the composition root
 * @throws {PlatformError} `secret_unavailable`
 */
export const resolveSecret = async (
  reference: SecretReference,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> => {
  if ('env' in reference) {
    const value = environment[reference.env];
    if (!value)
      throw new PlatformError(
        'secret_unavailable',
        `The environment variable ${reference.env} is not set where the gateway runs; set it and restart Quarterdeck.`,
      );
    return value;
  }
  try {
    return (await readFile(reference.file, 'utf8')).trim();
  } catch (cause) {
    throw new PlatformError(
      'secret_unavailable',
      `The secret file ${reference.file} cannot be read by the gateway; check that it exists and its permissions.`,
      { cause },
    );
  }
};
