import { exitCodes } from './exit-codes.ts';

/** One thing wrong in a file: `place` is `file:line:column`, `field` the dotted path there. */
export type FileIssue = { place: string; field: string; message: string };

/**
 * Something a command tells its user and ends with.
 * @property next - what to do about it, without a full stop
 * @property isAway - the platform does not answer: the same request may succeed in a moment
 */
export class CliError extends Error {
  readonly next: string | undefined;
  readonly exitCode: number;
  readonly code: string;
  readonly issues: FileIssue[];
  readonly requestId: string | undefined;
  readonly isAway: boolean;

  constructor(
    message: string,
    options: {
      next?: string;
      exitCode?: number;
      code?: string;
      issues?: FileIssue[];
      requestId?: string;
      isAway?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CliError';
    this.next = options.next;
    this.exitCode = options.exitCode ?? exitCodes.error;
    this.code = options.code ?? 'input_invalid';
    this.issues = options.issues ?? [];
    this.requestId = options.requestId;
    this.isAway = options.isAway ?? false;
  }
}

/** A command that was written wrongly. */
export const usageError = (message: string, next?: string): CliError =>
  new CliError(message, { code: 'usage', exitCode: exitCodes.usage, next });
