import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { ClientRequest } from '../mcp/client-request.ts';

/** Whether a failure says for certain that the server has seen nothing of the request. */
export const wasNotSent = (error: unknown): boolean => isPlatformError(error) && error.facts.wasSent === false;

/** Whether what only reads may be asked for once more: it was not sent, or somebody says that it was not read, which need not be true. */
export const mayReadAgain = (error: unknown): boolean => wasNotSent(error) || (isPlatformError(error) && error.facts.isSentBack === true);

/** Does what follows on something that the server has done: whatever is lost now, that was sent. */
export const afterSending = async <Result>(work: () => Promise<Result> | Result): Promise<Result> => {
  try {
    return await work();
  } catch (error) {
    if (!isPlatformError(error) || !mayReadAgain(error)) throw error;
    const { isSentBack: _thisPart, ...facts } = error.facts;
    throw new PlatformError(error.code, error.detail, { cause: error, facts: { ...facts, wasSent: true } });
  }
};

/**
 * Reads from a server, and once more when nothing of it seems to have reached the server: the process behind the connection may have been started again, or
 * offer another list than it was looked at with. `use` connects and decides anew.
 */
export const againIfUnsent = async <Result>({ signal }: Pick<ClientRequest, 'signal'>, use: () => Promise<Result>): Promise<Result> => {
  try {
    return await use();
  } catch (error) {
    if (!mayReadAgain(error) || signal.aborted) throw error;
    return use();
  }
};
