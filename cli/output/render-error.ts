import { isPlatformError } from '../../schema/errors.ts';
import { CliError } from './cli-error.ts';
import { exitCodes } from './exit-codes.ts';
import { plainText } from './plain-text.ts';

const withFullStop = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** Whatever a command threw, as the one kind of error that people are shown. */
export const toCliError = (thrown: unknown): CliError => {
  if (thrown instanceof CliError) return thrown;
  if (isPlatformError(thrown)) return new CliError(thrown.detail, { code: thrown.code });
  const { message = String(thrown), code } = thrown as { message?: string; code?: string };
  return new CliError(`Something failed inside the command: ${message}`, {
    code: code ?? 'internal',
    next: 'run `quarterdeck doctor`',
    cause: thrown,
  });
};

/** Renders an error for people: a line for each wrong place in a file, then what happened and what to do. */
export const renderError = (error: CliError): string => {
  const places = error.issues.map(({ place, field, message }) => plainText(`${place}: ${field === '' ? '' : `${field}: `}${message}`));
  const next = error.next === undefined ? '' : ` Next: ${error.next}`;
  const request = error.code === 'internal' && error.requestId ? ` (request ${error.requestId})` : '';
  return [
    ...places,
    `Error: ${plainText(error.next === undefined ? error.message : withFullStop(error.message))}${plainText(next)}${request}`,
  ].join('\n');
};

/** The same for programs, with `-o json`. */
export const renderErrorJson = ({ code, message, next, exitCode, issues, requestId }: CliError): string =>
  JSON.stringify({
    error: {
      code,
      message,
      ...(next ? { next } : {}),
      exitCode,
      ...(requestId ? { requestId } : {}),
      ...(issues.length > 0 ? { issues } : {}),
    },
  });

/** The exit code that belongs to a code of the platform. */
export const exitCodeOf = (code: string): number => {
  switch (code) {
    case 'not_permitted':
    case 'argument_refused':
    case 'approval_denied':
    case 'approval_expired':
    case 'login_stale':
      return exitCodes.denied;
    case 'needs_person':
      return exitCodes.needsApproval;
    default:
      return exitCodes.error;
  }
};
