import { type LogLevel, logLevels } from '../../schema/mcp-revisions.ts';
import type { ClientRequest, ClientSession } from '../mcp/client-request.ts';
import type { RunOfServer } from '../mcp/launch-of.ts';
import type { Notification } from '../mcp/message.ts';
import { type Principal, principalName } from '../principal.ts';
import type { CallerOfServer } from '../upstream/upstream.ts';

/** The run whose folders servers mount for this caller. */
export const runOf = (principal: Principal): RunOfServer | undefined =>
  principal.kind === 'agent' ? { runId: principal.runId, volumes: principal.volumes, fleet: principal.fleet } : undefined;

/** Log messages of a legacy server that come when no request is under way are its session's, from the level on that it asked for. */
const straysTo =
  (session: ClientSession) =>
  (notification: Notification): void => {
    const level = logLevels.indexOf(notification.params?.level as LogLevel);
    if (notification.method === 'notifications/message' && level >= logLevels.indexOf(session.logLevel ?? 'debug'))
      session.notify(notification);
  };

/** Whose connection a request goes through: what a server holds for one legacy session, or one modern principal, meets no other. */
export const callerOf = ({
  principal,
  session,
  client,
  logLevel,
}: Omit<ClientRequest, 'method' | 'params' | 'notify' | 'ask'>): CallerOfServer => {
  const run = runOf(principal);
  const name = principalName(principal);
  return {
    ...(run ? { run } : {}),
    principal: name,
    sessionKey: session?.id ?? name,
    client,
    ...(logLevel ? { logLevel } : {}),
    ...(session ? { onStray: straysTo(session) } : {}),
  };
};
