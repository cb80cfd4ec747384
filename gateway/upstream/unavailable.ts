import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { credentialErrorIn } from '../credentials/credential-error.ts';
import { RefusedByStatus } from './refusal.ts';
import { UpstreamLost } from './upstream-lost.ts';

const connectionCode = (error: unknown): string | undefined => {
  for (let link = error; link instanceof Error; link = link.cause) {
    const { code } = link as { code?: unknown };
    if (typeof code === 'string') return code;
  }
  return undefined;
};

const describe = (error: unknown): string => {
  if (!(error instanceof UpstreamLost)) return 'does not answer';
  if (error.cause instanceof RefusedByStatus) return error.cause.message;
  if (error.reason === 'deadline') return 'does not answer in time';
  if (error.reason === 'unusable') return 'answers with something else than MCP';
  if (error.reason === 'refused') return 'refuses to be spoken to in any revision that is known here';
  const code = connectionCode(error);
  return `cannot be reached${code ? ` (${code})` : ''}`;
};

/**
 * What a server's failure is to a caller.
 * @param name - as people know the server
 */
export const unavailable = (name: string, error: unknown): PlatformError =>
  isPlatformError(error)
    ? error
    : (credentialErrorIn(error) ??
      new PlatformError('server_unavailable', `The MCP server ${name} ${describe(error)}; try again in a few seconds.`, { cause: error }));

const lossIn = (error: unknown): UpstreamLost | undefined => {
  for (let link = error; link instanceof Error; link = link.cause) if (link instanceof UpstreamLost) return link;
  return undefined;
};

/** Whether nothing at all could be sent: the server is not there. */
export const isUnreachable = (error: unknown): boolean => {
  const loss = lossIn(error);
  return loss?.wasSent === false && loss.reason === 'connection';
};

/** Whether an answer did not come in time: a fault only of a server from which nothing else came meanwhile. */
export const isDeadline = (error: unknown): boolean => lossIn(error)?.reason === 'deadline';

/** Whether a request that failed so speaks against the server: it was not taken back, and not answered in its own good order. */
export const isFault = (error: unknown): boolean => {
  if (!(error instanceof UpstreamLost)) return false;
  if (credentialErrorIn(error)) return false;
  if (error.reason === 'caller' || error.reason === 'other-instance' || error.reason === 'breaker') return false;
  return !(error.cause instanceof RefusedByStatus) || error.cause.status >= 500;
};
