import { PlatformError } from '../../schema/errors.ts';

/**
 * The platform cannot start, and a person can do something about it.
 * @param detail - one line: the cause, and the command that helps
 */
export const cannotStart = (detail: string, cause?: unknown): PlatformError =>
  new PlatformError('input_invalid', detail, cause === undefined ? {} : { cause });
