import { PlatformError } from '../../schema/errors.ts';
import type { KeychainAnswer, KeychainQuestion } from './messages.ts';

const answerWithinMs = 30_000;

let lastId = 0;
const waiting = new Map<number, (answer: KeychainAnswer) => void>();

const hear = (message: KeychainAnswer): void => {
  if (message?.type === 'keychain') waiting.get(message.id)?.(message);
};

/**
 * Asks the supervisor for an entry of the keychain of whoever runs it: our processes start no programs of their own.
 * @param account - `org/project/entry`
 * @throws {PlatformError} `secret_unavailable`
 */
export const lookupKeychain = async (account: string): Promise<string> => {
  if (!process.send || !process.connected)
    throw new PlatformError('secret_unavailable', 'The keychain is that of whoever runs `quarterdeck up`, which does not run here.');
  process.off('message', hear).on('message', hear);
  lastId += 1;
  const question: KeychainQuestion = { type: 'keychain', id: lastId, account };
  try {
    const answer = await new Promise<KeychainAnswer>((resolve, reject) => {
      const tooLate = () => reject(new PlatformError('secret_unavailable', 'The keychain does not answer; it may wait to be unlocked.'));
      setTimeout(tooLate, answerWithinMs).unref();
      waiting.set(question.id, resolve);
      process.send?.(question);
    });
    if ('value' in answer) return answer.value;
    throw new PlatformError('secret_unavailable', answer.failure);
  } finally {
    waiting.delete(question.id);
  }
};
