import type { JsonRpcMessage, RequestId } from '../stdio/json-rpc.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import { hostScope } from '../stdio/pending-requests.ts';
import type { ClientSession } from './client-sessions.ts';

type Method = 'resources/subscribe' | 'resources/unsubscribe';

/**
 * Subscriptions of many sessions at one process, which knows one client: it hears of the first that wants a resource and of the last that
 * does not any more. Changes for one URI happen one after the other.
 */
export const createResourceSubscriptions = () => {
  const holders = new Map<string, Set<ClientSession>>();
  const turns = new Map<string, Promise<unknown>>();

  const inTurn = <Result>(uri: string, task: () => Promise<Result>): Promise<Result> => {
    const turn = (turns.get(uri) ?? Promise.resolve()).then(task, task);
    turns.set(uri, turn);
    const forget = () => {
      if (turns.get(uri) === turn) turns.delete(uri);
    };
    turn.then(forget, forget);
    return turn;
  };
  const tell = (server: Multiplexer, method: Method, uri: string): Promise<JsonRpcMessage> =>
    server.call({ jsonrpc: '2.0', id: method, method, params: { uri } }, { scope: hostScope });
  const done = (): JsonRpcMessage => ({ jsonrpc: '2.0', id: null, result: {} });

  const unsubscribe = async (server: Multiplexer | undefined, session: ClientSession, uri: string): Promise<JsonRpcMessage> => {
    session.resources.delete(uri);
    const known = holders.get(uri);
    if (!known?.delete(session) || known.size > 0) return done();
    holders.delete(uri);
    return server ? tell(server, 'resources/unsubscribe', uri) : done();
  };

  const subscribe = async (server: Multiplexer, session: ClientSession, uri: string): Promise<JsonRpcMessage> => {
    const known = holders.get(uri);
    const answer = known ? done() : await tell(server, 'resources/subscribe', uri);
    if (answer.error !== undefined) return answer;
    holders.set(uri, (known ?? new Set()).add(session));
    session.resources.add(uri);
    if (session.isOver) await unsubscribe(server, session, uri);
    return answer;
  };

  return {
    /** @returns the answer to the session's request: the server's own where it had to be asked */
    change: async (server: Multiplexer, session: ClientSession, { id, method, uri }: { id: RequestId; method: Method; uri: string }) => ({
      ...(await inTurn(uri, () => (method === 'resources/subscribe' ? subscribe : unsubscribe)(server, session, uri))),
      id,
    }),
    /** Drops what a session that ended has subscribed to. */
    drop: (server: Multiplexer | undefined, session: ClientSession): void => {
      for (const uri of [...session.resources]) inTurn(uri, () => unsubscribe(server, session, uri)).catch(() => undefined); // a process that is gone holds nothing
    },
    /** Tells a process that was started again what is subscribed to. */
    restore: async (server: Multiplexer): Promise<void> => {
      await Promise.all([...holders.keys()].map((uri) => tell(server, 'resources/subscribe', uri)));
    },
  };
};
