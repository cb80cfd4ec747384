import { PlatformError } from '../../schema/errors.ts';
import type { JoinTokenMessage, ProcessMessage } from './messages.ts';

const answerWithinMs = 10_000;

/**
 * Asks the supervisor of this process for a token by which it may join the issuer once. The channel is the process's own: nobody else can
 * ask on it, or read the answer.
 * @throws {PlatformError} `server_unavailable` (retryable)
 */
export const askForJoinToken = (): Promise<string> =>
  new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(late);
      process.off('message', take);
    };
    const fail = (cause?: unknown): void => {
      end();
      reject(new PlatformError('server_unavailable', 'The supervisor gives this worker no token to join with; it asks again.', { cause }));
    };
    const take = (message: JoinTokenMessage): void => {
      if (message.type !== 'join-token') return;
      end();
      resolve(message.token);
    };
    const late = setTimeout(fail, answerWithinMs);
    process.on('message', take);
    if (!process.send || !process.connected) return fail();
    process.send({ type: 'join-token-wanted' } satisfies ProcessMessage, undefined, undefined, (error) => error && fail(error));
  });
