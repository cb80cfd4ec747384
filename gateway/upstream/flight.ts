import { isPlatformError } from '../../schema/errors.ts';
import { isObject, type JsonObject, type Notification, objectAt, type Question, type Reply, rpcCodes, textOf } from '../mcp/message.ts';
import type { ResultTooLarge } from './result-too-large.ts';
import type { UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** What a legacy server may ask, and the capability by which a client says that it can answer. */
const askable: Readonly<Record<string, string>> = {
  'elicitation/create': 'elicitation',
  'sampling/createMessage': 'sampling',
  'roots/list': 'roots',
};
/** A server has at most so many questions open in the middle of one request. */
const mostQuestions = 32;

export type FlightParts = {
  id: number;
  request: Pick<UpstreamRequest, 'idleTimeoutMs' | 'totalTimeoutMs' | 'signal' | 'underWay' | 'onNotification' | 'onAsk'>;
  /** What the caller declared that it can do. */
  capabilities: JsonObject;
  /** Sends our answer to a question of the server. */
  answer(message: JsonObject): void;
  /** Takes the request back at the server. @returns whether any of it had left */
  abandon(): boolean;
  /** What came with the request and concerns no request. */
  onOther(notification: Notification): void;
  onOver(): void;
};

/** A request under way: what comes in for it, its deadlines, and its one end. */
export type Flight = {
  readonly id: number;
  readonly reply: Promise<Reply>;
  readonly isOver: boolean;
  readonly takesNotifications: boolean;
  readonly takesQuestions: boolean;
  /** A message from the stream that carries the request. Resolves when the next may come. */
  receive(message: JsonObject): void | Promise<void>;
  /** Something was read of an answer that is not yet whole. */
  heard(): void;
  settle(reply: Reply): void;
  fail(error: UpstreamLost | ResultTooLarge): void;
};

/** The rest of a JSON-RPC answer as what it means; undefined where it is none. */
export const replyOf = ({ result, error }: JsonObject): Reply | undefined => {
  if (isObject(result)) return { kind: 'result', result };
  if (!isObject(error) || typeof error.code !== 'number') return undefined;
  const { code, message, data } = error;
  return { kind: 'error', error: { code, message: typeof message === 'string' ? message : '', ...(data === undefined ? {} : { data }) } };
};

const withoutToken = ({ progressToken: _ours, ...params }: JsonObject): JsonObject => params;

export const beginFlight = ({ id, request, capabilities, answer, abandon, onOther, onOver }: FlightParts): Flight => {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const { signal, underWay, idleTimeoutMs, totalTimeoutMs, onNotification, onAsk } = request;
  const startedAt = performance.now();
  const questions = new Map<unknown, AbortController>();
  let heardAt = startedAt;
  /** Somebody on our side is being waited for: the server is not silent meanwhile. */
  let waits = 0;

  const end = (): boolean => {
    if (flight.isOver) return false;
    flight.isOver = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    for (const question of questions.values()) question.abort();
    onOver();
    if (underWay) underWay.cut = undefined; // an object that has grown old would keep all of this request with it
    return true;
  };
  const fail = (error: UpstreamLost | ResultTooLarge): void => {
    if (end()) reject(error);
  };
  const settle = (reply: Reply): void => {
    if (end()) resolve(reply);
  };
  const giveUp = (cause: unknown, reason: 'caller' | 'deadline'): void => {
    if (!flight.isOver) fail(new UpstreamLost(abandon(), cause, reason));
  };
  const onCut = (halted: unknown): void => giveUp(halted, 'caller');
  const onAbort = (): void => giveUp(signal.reason, 'caller');
  const check = (): void => {
    const now = performance.now();
    const left = Math.min(startedAt + totalTimeoutMs - now, waits > 0 ? idleTimeoutMs : heardAt + idleTimeoutMs - now);
    // timers may fire a little early
    if (left < 1) giveUp(new Error(`no answer within ${Math.round(now - startedAt)} ms`), 'deadline');
    else timer = setTimeout(check, left);
  };
  let timer = setTimeout(check, Math.min(idleTimeoutMs, totalTimeoutMs));
  signal.addEventListener('abort', onAbort, { once: true });
  if (underWay) {
    underWay.cut = onCut;
    // halted while it waited for a connection: whoever began this has not sent anything yet, and is to be able to take it back
    if (underWay.halted) queueMicrotask(onCut.bind(undefined, underWay.halted));
  }

  /** Waits for something on our side; whatever becomes of it, the request goes on. */
  const waitFor = async (work: Promise<unknown>): Promise<void> => {
    waits += 1;
    try {
      await work;
    } catch {
      // who takes notifications has left or will say so by the signal
    } finally {
      waits -= 1;
      heardAt = performance.now();
    }
  };

  const tell = (notification: Notification): void | Promise<void> => {
    const done = onNotification?.(notification);
    if (done instanceof Promise) return waitFor(done);
  };

  const notified = (method: string, params: JsonObject): void | Promise<void> => {
    if (method === 'notifications/progress')
      return textOf(params.progressToken) === String(id) ? tell({ method, params: withoutToken(params) }) : undefined;
    if (method === 'notifications/message') return tell({ method, params });
    if (method === 'notifications/cancelled') return questions.get(params.requestId)?.abort();
    onOther({ method, params });
  };

  const refuse = (question: unknown, message: string, code: number = rpcCodes.methodNotFound) =>
    answer({ jsonrpc: '2.0', id: question, error: { code, message } });

  const ask = async (questionId: unknown, question: Question): Promise<void> => {
    const stop = new AbortController();
    questions.set(questionId, stop);
    try {
      const reply = await onAsk?.(question, stop.signal);
      if (flight.isOver || reply === undefined) return;
      answer({ jsonrpc: '2.0', id: questionId, ...(reply.kind === 'result' ? { result: reply.result } : { error: reply.error }) });
    } catch (error) {
      if (!flight.isOver && !stop.signal.aborted)
        refuse(questionId, isPlatformError(error) ? error.detail : 'The question could not be put to the client.', rpcCodes.internal);
    } finally {
      questions.delete(questionId);
    }
  };

  const asked = (questionId: unknown, question: Question): void => {
    const { method } = question;
    const capability = askable[method];
    if (method === 'ping') answer({ jsonrpc: '2.0', id: questionId, result: {} });
    else if (capability === undefined) refuse(questionId, `A client has no method ${method}.`);
    else if (!onAsk || !isObject(capabilities[capability])) refuse(questionId, `This client has not the capability ${capability}.`);
    else if (questions.size >= mostQuestions || questions.has(questionId))
      refuse(questionId, 'Too many questions at once.', rpcCodes.internal);
    else void waitFor(ask(questionId, question));
  };

  const receive = (message: JsonObject): void | Promise<void> => {
    if (flight.isOver) return;
    heardAt = performance.now();
    const { id: messageId, method } = message;
    if (typeof method === 'string') {
      const params = objectAt(message, 'params');
      return messageId === undefined ? notified(method, params) : asked(messageId, { method, params });
    }
    // an error without an id says that ours could not be read
    if (messageId !== id && !(isObject(message.error) && (messageId === null || messageId === undefined))) return;
    const reply = replyOf(message);
    if (reply) settle(reply);
    else fail(new UpstreamLost(true, new Error('an answer with neither result nor error'), 'unusable'));
  };

  // no accessors here: an object that is made with them costs the collector more than the whole request
  const flight = {
    id,
    reply: promise,
    isOver: false,
    takesNotifications: onNotification !== undefined,
    takesQuestions: onAsk !== undefined,
    receive,
    heard: () => {
      heardAt = performance.now();
    },
    settle,
    fail,
  };
  return flight;
};
