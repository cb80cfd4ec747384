import type { InitializeResult } from '../stdio/initialize-server.ts';
import { objectAt } from '../stdio/json-rpc.ts';
import type { Multiplexer } from '../stdio/multiplexer.ts';
import { createClientSessions } from './client-sessions.ts';
import { createLogLevelOfProcess } from './log-level-of-process.ts';
import { createResourceSubscriptions } from './resource-subscriptions.ts';

export type ClientState = ReturnType<typeof createClientState>;

/**
 * What the clients of an instance have there: their sessions, and what these want of the process. It outlives processes.
 * @param current - the process there is now
 */
export const createClientState = (now: () => number, current: () => Multiplexer | undefined) => {
  const subscriptions = createResourceSubscriptions();
  const sessions = createClientSessions(now, {
    isAtWork: ({ id }) => current()?.hasPending(id) === true,
    onEnd: (session) => {
      const process = current();
      process?.cancelAll(session.id);
      subscriptions.drop(process, session);
      if (process && session.logLevel) logLevel.apply(process).catch(() => undefined);
    },
  });
  const logLevel = createLogLevelOfProcess(sessions.all);

  return {
    sessions,
    subscriptions,
    logLevel,
    /** Brings a new process to where the one before it was, and tells those who listen that any list may be another now. */
    restore: (process: Multiplexer, { capabilities }: InitializeResult): void => {
      subscriptions.restore(process).catch(() => undefined);
      logLevel.apply(process, true).catch(() => undefined);
      for (const kind of ['tools', 'prompts', 'resources'])
        if (objectAt(capabilities, kind).listChanged === true)
          for (const { stream } of sessions.all()) stream?.send({ jsonrpc: '2.0', method: `notifications/${kind}/list_changed` });
    },
    isListenedTo: (): boolean => sessions.all().some(({ stream }) => stream !== undefined),
    /** Whether somebody waits for news of a resource. */
    isAwaited: (): boolean => sessions.all().some(({ stream, resources }) => stream !== undefined && resources.size > 0),
  };
};
