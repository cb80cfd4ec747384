import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { ClientRequest } from '../mcp/client-request.ts';

const isLost = (error: unknown): error is PlatformError => isPlatformError(error) && error.code === 'server_unavailable';

/** Whether a request was lost that the server has certainly seen nothing of: another connection may bring it there. */
export const maySendAgain = (error: unknown): boolean => isLost(error) && error.facts.wasSent === false;

/**
 * The same for what only reads: also where somebody says that the request was not read, which need not be true. A server that is asked too
 * often is not asked once more at once.
 */
export const mayReadAgain = (error: unknown): boolean =>
  maySendAgain(error) || (isLost(error) && error.facts.isSentBack === true && error.facts.isThrottled !== true);

/** Does what follows on something that the server has done: whatever is lost now, that was sent. */
export const afterSending = async <Result>(work: () => Promise<Result> | Result): Promise<Result> => {
  try {
    return await work();
  } catch (error) {
    if (!isPlatformError(error) || (error.facts.wasSent !== false && error.facts.isSentBack !== true)) throw error;
    const { isSentBack: _thisPart, ...facts } = error.facts;
    throw new PlatformError(error.code, error.detail, { cause: error, facts: { ...facts, wasSent: true } });
  }
};

/**
 * Reads from a server, and once more when nothing of it seems to have reached the server: the process behind the connection may have been
 * started again, or offer another list than it was looked at with. `use` connects and decides anew.
 */
export const againIfUnsent = async <Result>({ signal }: Pick<ClientRequest, 'signal'>, use: () => Promise<Result>): Promise<Result> => {
  try {
    return await use();
  } catch (error) {
    if (!mayReadAgain(error) || signal.aborted) throw error;
    return use();
  }
};
