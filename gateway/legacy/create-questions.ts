import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import type { McpAnswerStore } from '../../store/mcp-answers.ts';
import type { McpBus } from '../../store/mcp-bus.ts';
import type { ContentKeys } from '../../store/secrets/seal.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Question, Reply } from '../mcp/message.ts';

type Pending = { session: string; settle: (reply: Reply) => void; fail: (error: unknown) => void };
/** What asks a client, and how its questions are sent: in a request's stream, or in a session's. */
export type Asking = { session: string; question: Question; signal: AbortSignal; send: (message: string) => Promise<void> };

const nameOf = (session: string, id: string): string => `${session}/${id}`;

/**
 * Questions to clients that wait for an answer. Their ids are ours, so two servers that ask under one id do not meet, and sealed to the
 * session, so nobody answers for another. An answer may come in at any replica.
 * @param options.lookMs - how often answers left by other replicas are looked for, in case their notices were lost
 */
export const createQuestions = ({
  keys,
  answers,
  bus,
  logger,
  lookMs = 2000,
}: {
  keys: ContentKeys;
  answers: McpAnswerStore;
  bus: () => Pick<McpBus, 'tell'>;
  logger: Logger;
  lookMs?: number;
}) => {
  const pending = new Map<string, Pending>();
  let timer: NodeJS.Timeout | undefined;

  const markOf = (session: string, random: string): string =>
    createHmac('sha256', keys.digest).update(`mcp-question/${session}/${random}`).digest('base64url').slice(0, 22);
  const newId = (session: string): string => {
    const random = randomBytes(12).toString('base64url');
    return `${random}.${markOf(session, random)}`;
  };
  const isOurs = (session: string, id: string): boolean => {
    const [random = '', mark = ''] = id.split('.');
    const expected = Buffer.from(markOf(session, random));
    const given = Buffer.from(mark);
    return given.length === expected.length && timingSafeEqual(given, expected);
  };

  const take = async (names: string[]): Promise<void> => {
    for (const [name, answer] of await answers.take(names)) pending.get(name)?.settle(parseExactly(answer) as Reply);
  };
  const look = (names: string[]): void => {
    if (names.length > 0) take(names).catch((error) => logger.warn({ err: error }, 'answers of clients could not be read; trying again'));
  };
  const watch = (): void => {
    timer ??= setInterval(() => look([...pending.keys()]), lookMs).unref();
  };
  const rest = (): void => {
    if (pending.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  return {
    /**
     * Asks and waits. When the asker gives up, the client is told that no answer is needed any more.
     * @throws the signal's reason, what `send` throws, or `client_unreachable` when the session ends
     */
    ask: async ({ session, question, signal, send }: Asking): Promise<Reply> => {
      signal.throwIfAborted();
      const id = newId(session);
      const name = nameOf(session, id);
      const { promise, resolve, reject } = Promise.withResolvers<Reply>();
      pending.set(name, { session, settle: resolve, fail: reject });
      watch();
      const giveUp = (): void => {
        reject(signal.reason);
        const cancelled = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason: 'no longer needed' } };
        send(JSON.stringify(cancelled)).catch(() => undefined); // who is not there need not be told
      };
      signal.addEventListener('abort', giveUp, { once: true });
      // what cannot be sent is not waited for
      send(JSON.stringify({ jsonrpc: '2.0', id, ...question })).catch(reject);
      try {
        return await promise;
      } finally {
        signal.removeEventListener('abort', giveUp);
        pending.delete(name);
        rest();
      }
    },

    /** Takes a client's answer: to who asks here, or left for the replica that asked. Anything else is dropped. */
    answered: async (session: string, id: unknown, reply: Reply): Promise<void> => {
      if (typeof id !== 'string') return;
      const name = nameOf(session, id);
      const asker = pending.get(name);
      if (asker) return asker.settle(reply);
      if (!isOurs(session, id)) return;
      await answers.leave(name, JSON.stringify(reply));
      bus().tell({ kind: 'answer', id: name });
    },

    onAnswer: (name: string): void => look(pending.has(name) ? [name] : []),

    sessionEnded: (session: string): void => {
      const error = new PlatformError('client_unreachable', 'The session ended before the client answered.');
      for (const asked of pending.values()) if (asked.session === session) asked.fail(error);
    },
    close: (): void => clearInterval(timer),
  };
};
export type Questions = ReturnType<typeof createQuestions>;
