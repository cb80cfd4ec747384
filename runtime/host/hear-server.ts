import { type Era, type LogLevel, logLevels, metaKeys } from '../../schema/mcp-revisions.ts';
import type { JsonRpcNotification, JsonRpcRequest } from '../stdio/json-rpc.ts';
import { objectAt, rpcError, rpcErrorCodes } from '../stdio/json-rpc.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import type { ClientSession, ClientSessions } from './client-sessions.ts';
import { newestStream, newestThatHears } from './find-carrier.ts';
import type { OpenQuestions } from './open-questions.ts';

export const listChanges = ['tools', 'prompts', 'resources'].map((kind) => `notifications/${kind}/list_changed`);

/** What a server process is heard with. */
export type ServerHearing = {
  isShared: boolean;
  era: () => Era;
  sessions: ClientSessions;
  multiplexer: () => Multiplexer;
  questions: OpenQuestions;
  onListChange: () => void;
  /** Told of a request that nobody can be asked. */
  onRefused: () => void;
};

/** The message belongs to what was subscribed to: that resource, or one below it. */
const isAtOrBelow = (uri: string, subscribed: string): boolean =>
  uri === subscribed || uri.startsWith(subscribed.endsWith('/') ? subscribed : `${subscribed}/`);

const isUrgentEnough = (level: unknown, least: LogLevel | undefined): boolean =>
  least === undefined || logLevels.indexOf(level as LogLevel) >= logLevels.indexOf(least);

/**
 * Takes what a server says by itself to the clients it is for.
 * On a shared process nothing reaches a client that may be another's: log messages carry no sign of the request they are about, so they
 * are told only while a single request can be meant.
 */
export const createServerHearing = ({ isShared, era, sessions, multiplexer, questions, onListChange, onRefused }: ServerHearing) => {
  /** To the one client of a process that is not shared, on whichever stream there is. */
  const tellTheClient = (message: JsonRpcNotification): void => {
    const stream = newestStream(sessions);
    if (stream) stream.send(message);
    else newestThatHears(multiplexer())?.hear?.(message);
  };

  const tellSessions = (message: JsonRpcNotification, isMeant: (session: ClientSession) => boolean): void => {
    const streams = sessions.all().flatMap((session) => (session.stream && isMeant(session) ? [session.stream] : []));
    for (const stream of streams) stream.send(message);
    if (streams.length === 0 && !isShared) newestThatHears(multiplexer())?.hear?.(message);
  };

  const hearLog = (message: JsonRpcNotification): void => {
    const underWay = multiplexer()
      .underWay()
      // A modern server says nothing about requests that did not ask for it.
      .filter(({ request }) => era() === 'legacy' || metaKeys.logLevel in objectAt(request.params, '_meta'));
    const [origin, ...others] = underWay;
    if (origin?.hear && others.length === 0) {
      const least = sessions.all().find(({ id }) => id === origin.scope)?.logLevel;
      if (isUrgentEnough(objectAt(message, 'params').level, least)) origin.hear(message);
    } else if (!isShared) tellTheClient(message);
  };

  const refuse = ({ id }: JsonRpcRequest): void => {
    onRefused();
    const advice = 'Set `instance: session` on the McpServer, and each client gets a process of its own.';
    multiplexer().answer(
      rpcError(id, rpcErrorCodes.methodNotFound, `Nobody can be asked: this process is shared by many clients. ${advice}`),
    );
  };

  return {
    onNotification: (message: JsonRpcNotification): void => {
      if (listChanges.includes(message.method)) {
        onListChange();
        tellSessions(message, () => true);
      } else if (message.method === 'notifications/resources/updated') {
        const { uri } = objectAt(message, 'params');
        if (typeof uri !== 'string') return;
        tellSessions(message, ({ resources }) => !isShared || [...resources].some((subscribed) => isAtOrBelow(uri, subscribed)));
      } else if (message.method === 'notifications/message') hearLog(message);
      else if (message.method === 'notifications/cancelled') questions.takeBack(message);
      else if (!isShared) tellTheClient(message);
    },
    onRequest: (message: JsonRpcRequest): void => {
      if (isShared) refuse(message);
      // A server of the modern era has nothing to ask by a request, and nothing that it would read an answer with.
      else if (era() === 'legacy') questions.ask(message);
    },
  };
};
