import type { Readable, Writable } from 'node:stream';
import { PlatformError } from '../../schema/errors.ts';
import { isMessage, type JsonRpcMessage, type JsonRpcRequest, objectAt, type RequestId, rpcErrorCodes } from './json-rpc.ts';
import { readLines } from './read-lines.ts';

/** One message, and so one result, is at most this long. */
const maximumLineBytes = 16 * 1024 * 1024;
/** A server that leaves more than this unread is not given more. */
const maximumUnreadBytes = 16 * 1024 * 1024;

/** `scope` tells callers apart whose ids may be equal; `onProgress` gets the parameters of progress notifications under the caller's own token. */
export type CallOptions = { scope: string; signal?: AbortSignal; onProgress?: (params: Record<string, unknown>) => void };

type Pending = {
  scope: string;
  callerId: RequestId;
  progress?: { token: unknown; report: (params: Record<string, unknown>) => void };
  settle: (outcome: JsonRpcMessage | PlatformError) => void;
};

/** One stdio MCP server, shared by many callers. */
export type Multiplexer = {
  /**
   * Forwards a request and resolves with the answer under the caller's id.
   * Aborting `signal` tells the server and answers with error code −32800.
   * @throws {PlatformError} `server_unavailable` or `result_too_large`; its fact `sent` says whether the server may have seen the request
   */
  call(request: JsonRpcRequest, options: CallOptions): Promise<JsonRpcMessage>;
  notify(method: string, params?: Record<string, unknown>): void;
  /** Cancels the caller's request; does nothing when none or several are pending under that id, because the wrong one must not be hit. */
  cancel(scope: string, callerId: RequestId, reason?: string): void;
  /** Fails everything pending, e.g. because the server died. */
  fail(detail: string): void;
  pendingCount(): number;
  /** How often the server has said that its tools changed. */
  toolChangeCount(): number;
};

/** What a multiplexer is built on; `onGarbage` is told each time a line was no message, `onLost` when the stream cannot be trusted any more. */
export type MultiplexerParts = { stdin: Writable; stdout: Readable; onGarbage: () => void; onLost: (reason: string) => void };

const cancelledAnswer = (id: RequestId): JsonRpcMessage => ({
  jsonrpc: '2.0',
  id,
  error: { code: rpcErrorCodes.cancelled, message: 'Request cancelled' },
});

/** Id of a message of which only the ends are known. Both patterns can only match a member of the outermost object. */
const idFromEnds = ({ head, tail }: { head: string; tail: string }): number | undefined => {
  const digits = /"id":(\d+)\s*\}\s*$/.exec(tail)?.[1] ?? /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,/.exec(head)?.[1];
  return digits === undefined ? undefined : Number(digits);
};

export const createMultiplexer = ({ stdin, stdout, onGarbage, onLost }: MultiplexerParts): Multiplexer => {
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let toolChanges = 0;

  const send = (message: JsonRpcMessage): boolean => {
    if (!stdin.writable || stdin.writableLength > maximumUnreadBytes) return false;
    stdin.write(`${JSON.stringify(message)}\n`);
    return true;
  };
  const notify = (method: string, params?: Record<string, unknown>): void => void send({ jsonrpc: '2.0', method, params });

  const settle = (id: number, outcome: JsonRpcMessage | PlatformError): void => {
    const entry = pending.get(id);
    pending.delete(id);
    entry?.settle(outcome);
  };
  const abandon = (id: number, reason: string): void => {
    const entry = pending.get(id);
    if (entry === undefined) return;
    notify('notifications/cancelled', { requestId: id, reason });
    settle(id, cancelledAnswer(entry.callerId));
  };

  const receive = (message: JsonRpcMessage): void => {
    if (message.method === undefined) {
      if (typeof message.id !== 'number') return;
      const entry = pending.get(message.id);
      // Unknown: cancelled meanwhile, or made up.
      if (entry !== undefined) settle(message.id, { ...message, id: entry.callerId });
    } else if (message.id !== undefined) {
      // The host has no model, no person and no folders to offer to a server.
      const outcome =
        message.method === 'ping' ? { result: {} } : { error: { code: rpcErrorCodes.methodNotFound, message: 'Method not found' } };
      send({ jsonrpc: '2.0', id: message.id, ...outcome });
    } else if (message.method === 'notifications/progress') {
      const params = message.params as Record<string, unknown> | undefined;
      const progress = pending.get(Number(params?.progressToken))?.progress;
      progress?.report({ ...params, progressToken: progress.token });
    } else if (message.method === 'notifications/tools/list_changed') {
      toolChanges += 1;
    }
  };

  readLines(stdout, maximumLineBytes, {
    onLine: (line) => {
      let parsed: unknown;
      try {
        parsed = JSON.parse(line);
      } catch {
        return onGarbage();
      }
      for (const message of Array.isArray(parsed) ? parsed : [parsed]) {
        if (isMessage(message)) receive(message);
        else onGarbage();
      }
    },
    onOversize: (ends) => {
      const id = idFromEnds(ends);
      if (id === undefined) return onLost('It wrote a message over 16 MiB that belongs to no known request.');
      settle(id, new PlatformError('result_too_large', 'The result is over 16 MiB; ask for less at once.', { facts: { sent: true } }));
    },
  });

  const call: Multiplexer['call'] = (request, { scope, signal, onProgress }) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return resolve(cancelledAnswer(request.id));
      const id = ++lastId;
      const meta = objectAt(request.params, '_meta');
      const { progressToken, ...otherMeta } = meta;
      const wantsProgress = progressToken !== undefined && onProgress !== undefined;
      const params =
        progressToken === undefined
          ? request.params
          : { ...(request.params as object), _meta: wantsProgress ? { ...otherMeta, progressToken: id } : otherMeta };
      const onAbort = () => abandon(id, 'The caller left.');
      pending.set(id, {
        scope,
        callerId: request.id,
        ...(wantsProgress && { progress: { token: progressToken, report: onProgress } }),
        settle: (outcome) => {
          signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof PlatformError) reject(outcome);
          else resolve(outcome);
        },
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      if (!send({ ...request, id, params }))
        settle(id, new PlatformError('server_unavailable', 'The server does not read its input.', { facts: { sent: false } }));
    });

  return {
    call,
    notify,
    cancel: (scope, callerId, reason = 'The caller cancelled.') => {
      const matches = [...pending].filter(([, entry]) => entry.callerId === callerId && entry.scope === scope);
      if (matches.length === 1 && matches[0] !== undefined) abandon(matches[0][0], reason);
    },
    fail: (detail) => {
      for (const id of [...pending.keys()]) settle(id, new PlatformError('server_unavailable', detail, { facts: { sent: true } }));
    },
    pendingCount: () => pending.size,
    toolChangeCount: () => toolChanges,
  };
};
