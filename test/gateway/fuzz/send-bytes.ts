import { connect } from 'node:net';
import { setImmediate as soon } from 'node:timers/promises';
import type { RawRequest } from './raw-requests.ts';

/** When nothing came for so long, an answer is taken for complete, or the sender says that it has no more to send. */
const patienceMs = 40;
const longestMs = 5000;

export type Outcome = { answer: string; isHung: boolean };

/**
 * Sends bytes on a connection of their own. It is over when an answer came, or when the other side closed the connection; a hang
 * is neither of them within five seconds, although the sender has ended its side.
 */
export const sendBytes = (port: number, { bytes, tears }: RawRequest): Promise<Outcome> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let answer = '';
    const finish = (isHung: boolean): void => {
      clearTimeout(patience);
      clearTimeout(deadline);
      socket
        .removeAllListeners()
        .on('error', () => undefined)
        .destroy();
      resolve({ answer, isHung });
    };
    const patience = setTimeout(() => (answer === '' ? socket.end() : finish(false)), patienceMs);
    const deadline = setTimeout(() => finish(answer === ''), longestMs);
    const send = async (): Promise<void> => {
      let at = 0;
      for (const tear of tears) {
        socket.write(bytes.subarray(at, at + tear));
        at += tear;
        await soon();
      }
      socket.write(bytes.subarray(at));
    };
    socket
      .on('data', (chunk) => {
        answer += chunk.toString('latin1');
        patience.refresh();
      })
      .on('close', () => finish(false))
      .on('error', () => undefined)
      .on('connect', () => void send());
  });
