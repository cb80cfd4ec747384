import type { Readable, Writable } from 'node:stream';
import { PlatformError } from '../../schema/errors.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import { cutAnswer, idFromEnds } from './cut-answer.ts';
import {
  isMessage,
  type JsonRpcMessage,
  type JsonRpcNotification,
  type JsonRpcRequest,
  objectAt,
  type RequestId,
  rpcError,
  rpcErrorCodes,
} from './json-rpc.ts';
import { createPendingRequests, isListen, type PendingRequest } from './pending-requests.ts';
import { readLines } from './read-lines.ts';
import { createReceiver } from './receive-message.ts';

/** One message, and so one result, is at most this long. */
const maximumLineBytes = 16 * 1024 * 1024;
/** A server that leaves more than this unread is not given more. */
const maximumUnreadBytes = 16 * 1024 * 1024;

/** `scope` tells callers apart whose ids may be equal; `hear` gets progress under the caller's own token, and what a listen request is to get. */
export type CallOptions = Pick<PendingRequest, 'scope' | 'signal' | 'hear'>;

/** One stdio MCP server, shared by many callers. */
export type Multiplexer = {
  /**
   * Forwards a request and resolves with the text of its answer, one line of JSON under the caller's id.
   * Aborting `signal` tells the server and answers with error code −32800.
   * @throws {PlatformError} `server_unavailable` or `result_too_large`; its fact `sent` says whether the server may have seen the request
   */
  relay(request: JsonRpcRequest, options: CallOptions): Promise<string>;
  /** As `relay`, with the answer read. */
  call(request: JsonRpcRequest, options: CallOptions): Promise<JsonRpcMessage>;
  notify(method: string, params?: Record<string, unknown>): void;
  /** Answers a request of the server. */
  answer(message: JsonRpcMessage): void;
  /** Cancels the caller's request; does nothing when none or several are pending under that id, because the wrong one must not be hit. */
  cancel(scope: string, callerId: RequestId, reason?: string): void;
  cancelAll(scope: string): void;
  /** Fails everything pending, e.g. because the server died. */
  fail(detail: string): void;
  pendingCount(): number;
  hasPending(scope: string): boolean;
  isBusy(): boolean;
  underWay(): PendingRequest[];
};

/**
 * What a multiplexer is built on; `onGarbage` is told each time a line was no message, `onLost` when the stream cannot be trusted any more.
 * `onRequest` gets what the server asks, except a ping; without it such requests are refused. `onNotification` gets what belongs to no
 * request by what it says. `now` is a clock in milliseconds.
 */
export type MultiplexerParts = {
  stdin: Writable;
  stdout: Readable;
  onGarbage: () => void;
  onLost: (reason: string) => void;
  onRequest?: (message: JsonRpcRequest) => void;
  onNotification?: (message: JsonRpcNotification) => void;
  now?: () => number;
};

const cancelledAnswer = (id: RequestId): string => JSON.stringify(rpcError(id, rpcErrorCodes.cancelled, 'Request cancelled'));

const lost = (text: string, sent: boolean) => new PlatformError('server_unavailable', text, { facts: { sent } });

export const createMultiplexer = (parts: MultiplexerParts): Multiplexer => {
  const { stdin, stdout, onGarbage, onLost, onRequest, onNotification } = parts;
  const pending = createPendingRequests(parts.now ?? Date.now);

  const send = (message: JsonRpcMessage): boolean => {
    if (!stdin.writable || stdin.writableLength > maximumUnreadBytes) return false;
    stdin.write(`${JSON.stringify(message)}\n`);
    return true;
  };
  const notify = (method: string, params?: Record<string, unknown>): void => void send({ jsonrpc: '2.0', method, params });

  const abandon = (id: number, reason: string): void => {
    const entry = pending.get(id);
    if (entry === undefined) return;
    notify('notifications/cancelled', { requestId: id, reason });
    pending.abandon(id, cancelledAnswer(entry.request.id));
  };

  const receive = createReceiver({ pending, send, ...(onRequest && { onRequest }), ...(onNotification && { onNotification }) });

  const receiveText = (text: string): void => {
    let parsed: unknown;
    try {
      parsed = parseExactly(text);
    } catch {
      // no message, like other values that are none
    }
    for (const message of Array.isArray(parsed) ? parsed : [parsed]) {
      if (isMessage(message)) receive(message);
      else onGarbage();
    }
  };
  const onLine = (line: string): void => {
    const cut = cutAnswer(line);
    const entry = cut && pending.get(cut.id);
    if (cut && entry && !isListen(entry)) pending.settle(cut.id, cut.under(entry.request.id));
    else receiveText(line);
  };

  readLines(stdout, maximumLineBytes, {
    onLine,
    onOversize: (ends) => {
      const id = idFromEnds(ends);
      if (id === undefined) return onLost('It wrote a message over 16 MiB that belongs to no known request.');
      pending.settle(
        id,
        new PlatformError('result_too_large', 'The result is over 16 MiB; ask for less at once.', { facts: { sent: true } }),
      );
    },
  });

  const relay: Multiplexer['relay'] = (request, { scope, signal, hear }) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return resolve(cancelledAnswer(request.id));
      const onAbort = () => abandon(id, 'The caller left.');
      const settle: PendingRequest['settle'] = (outcome) => {
        signal?.removeEventListener('abort', onAbort);
        if (typeof outcome === 'string') resolve(outcome);
        else reject(outcome);
      };
      const id = pending.add({ scope, request, settle, ...(signal && { signal }), ...(hear && { hear }) });
      const { progressToken, ...otherMeta } = objectAt(request.params, '_meta');
      // Progress that nobody would hear is not asked for.
      const meta = hear ? { ...otherMeta, progressToken: id } : otherMeta;
      const params = progressToken === undefined ? request.params : { ...(request.params as object), _meta: meta };
      signal?.addEventListener('abort', onAbort, { once: true });
      if (!send({ ...request, id, params })) pending.settle(id, lost('The server does not read its input.', false));
    });

  const call: Multiplexer['call'] = async (request, options) => {
    const text = await relay(request, options);
    try {
      return parseExactly(text) as JsonRpcMessage;
    } catch {
      throw lost('The server answered with something that is not JSON.', true);
    }
  };

  return {
    relay,
    call,
    notify,
    answer: (message) => void send(message),
    cancel: (scope, callerId, reason = 'The caller cancelled.') => {
      const [id, ...others] = pending.idsWhere((entry) => entry.scope === scope && entry.request.id === callerId);
      if (id !== undefined && others.length === 0) abandon(id, reason);
    },
    cancelAll: (scope) => {
      for (const id of pending.idsWhere((entry) => entry.scope === scope)) abandon(id, 'The session ended.');
    },
    fail: (detail) => {
      for (const id of pending.idsWhere(() => true)) pending.settle(id, lost(detail, true));
    },
    pendingCount: pending.count,
    hasPending: (scope) => pending.idsWhere((entry) => entry.scope === scope).length > 0,
    isBusy: pending.isBusy,
    underWay: pending.underWay,
  };
};
