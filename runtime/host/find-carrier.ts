import type { JsonRpcNotification } from '../stdio/json-rpc.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import type { PendingRequest } from '../stdio/pending-requests.ts';
import type { ClientSessions, StandingStream } from './client-sessions.ts';
import type { QuestionCarrier } from './open-questions.ts';

export const newestStream = (sessions: ClientSessions): StandingStream | undefined =>
  sessions.all().findLast(({ stream }) => stream !== undefined)?.stream;

/** The newest request under way whose caller takes more than its answer. */
export const newestThatHears = (multiplexer: Multiplexer): PendingRequest | undefined =>
  multiplexer.underWay().findLast(({ hear }) => hear !== undefined);

/** The stream that takes a question of a process to its one client: that of the newest request under way, else the standing one. */
export const findCarrier = (sessions: ClientSessions, multiplexer: Multiplexer): QuestionCarrier | undefined => {
  const { hear, signal } = newestThatHears(multiplexer) ?? {};
  if (hear === undefined || signal === undefined) return newestStream(sessions);
  return { send: (question) => hear(question as JsonRpcNotification), closed: signal };
};
