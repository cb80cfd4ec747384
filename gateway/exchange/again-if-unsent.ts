import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { ClientRequest } from '../mcp/client-request.ts';

/** Whether a failure says for certain that the server has seen nothing of the request. */
export const wasNotSent = (error: unknown): boolean => isPlatformError(error) && error.facts.wasSent === false;

/** Does what follows on something that the server has done: whatever is lost now, that was sent. */
export const afterSending = async <Result>(work: () => Promise<Result> | Result): Promise<Result> => {
  try {
    return await work();
  } catch (error) {
    if (!isPlatformError(error) || !wasNotSent(error)) throw error;
    throw new PlatformError(error.code, error.detail, { cause: error, facts: { ...error.facts, wasSent: true } });
  }
};

/**
 * Uses a server, and once more when nothing of it reached the server: the process behind the connection may have been started again, or
 * offer another list than it was looked at with. `use` connects and decides anew.
 */
export const againIfUnsent = async <Result>({ signal }: Pick<ClientRequest, 'signal'>, use: () => Promise<Result>): Promise<Result> => {
  try {
    return await use();
  } catch (error) {
    if (!wasNotSent(error) || signal.aborted) throw error;
    return use();
  }
};
