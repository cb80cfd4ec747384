import type { JsonObject } from '../mcp/message.ts';
import { type AnswerEnd, readAnswer } from './read-answer.ts';
import { acceptBoth, type Wire } from './wire.ts';

/** How long a server may take to say that it has heard. */
const longestMs = 10_000;

/**
 * Posts what has no reply: a notification, or our answer to a question of the server.
 * @param headers - of the session, beyond those of the content
 * @returns how it was taken; `ended` is well
 */
export const postMessage = (wire: Wire, path: string, headers: readonly string[], message: JsonObject): Promise<AnswerEnd> =>
  new Promise((resolve) => {
    const request = { method: 'POST' as const, path, headers: [...acceptBoth, ...headers], body: JSON.stringify(message) };
    const ended = (end: AnswerEnd): void => {
      clearTimeout(timer);
      resolve(end);
    };
    const answer = readAnswer(wire.sender, request, { onMessage: () => undefined, onEnd: ended });
    const timer = setTimeout(() => {
      answer.abort();
      resolve({ kind: 'broken', cause: new Error(`not heard within ${longestMs} ms`) });
    }, longestMs);
    timer.unref();
  });
