import { randomUUID } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import type { Era } from '../../schema/mcp-revisions.ts';
import type { ServerLaunch } from '../../schema/server-launch.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RunningServer, ServerExit } from '../ports/server-runtime.ts';
import { createMultiplexer, type Multiplexer } from '../stdio/multiplexer.ts';
import { createCappedLog, serverLogPath } from './capped-log.ts';
import type { RuntimeChooser } from './choose-runtime.ts';
import type { ClientSessions } from './client-sessions.ts';
import { findCarrier } from './find-carrier.ts';
import { createServerHearing } from './hear-server.ts';
import { createOpenQuestions, type OpenQuestions } from './open-questions.ts';

/**
 * A process, and the ways to it. `ended` says how it went, once it has; `stamp` is another after each time the server said that a list
 * changed, of which `onListChange` tells it where the process does not say so to everybody.
 */
export type StartedServer = {
  process: RunningServer;
  multiplexer: Multiplexer;
  questions: OpenQuestions;
  ended(): string | undefined;
  stamp(): string;
  onListChange(): void;
};

export type ServerStart = {
  launch: ServerLaunch;
  chooseRuntime: RuntimeChooser;
  logDirectory: string;
  logger: Logger;
  now: () => number;
  sessions: ClientSessions;
  /** How the process is spoken to, once that is known. */
  era: () => Era;
  onExit: (process: RunningServer) => void;
};

const describeExit = ({ code, signal, failure }: ServerExit): string =>
  failure !== undefined ? `could not be started: ${failure}` : signal !== null ? `was ended by ${signal}` : `ended with code ${code}`;

/** Calls `report` at the 1st, 10th, 100th, … time: noise is reported without becoming noise itself. */
const seldom = (report: (count: number) => void): (() => void) => {
  let count = 0;
  return () => {
    count += 1;
    if (/^10*$/.test(String(count))) report(count);
  };
};

let lastQuestion = 0;
/** Never used twice by this host. */
const nextQuestionId = (): string => `question-${++lastQuestion}`;

/**
 * Spawns the process of a launch; nothing is said to it yet.
 * @throws {PlatformError} `server_unavailable` when it did not come to life, `isolation_unavailable`, `input_invalid`
 */
export const startServer = async (start: ServerStart): Promise<StartedServer> => {
  const { launch, chooseRuntime, logDirectory, logger, now, sessions, era, onExit } = start;
  const server = await (await chooseRuntime()).start(launch);
  if (server.pid === 0) throw new PlatformError('server_unavailable', `The server ${describeExit(await server.exited)}.`);
  server.stderr.pipe(createCappedLog(serverLogPath(logDirectory, launch.id)));
  const startId = randomUUID();
  let changes = 0;
  let ended: string | undefined;
  const onListChange = (): void => {
    changes += 1;
  };
  const questions = createOpenQuestions({
    nextId: nextQuestionId,
    answer: (message) => multiplexer.answer(message),
    findCarrier: () => findCarrier(sessions, multiplexer),
  });
  const reportQuestion = seldom((count) =>
    logger.warn({ event: 'server-question-refused', count }, 'a server asked where nobody can be asked'),
  );
  const hearing = createServerHearing({
    isShared: launch.instance === 'shared',
    era,
    sessions,
    multiplexer: () => multiplexer,
    questions,
    onListChange,
    onRefused: reportQuestion,
  });
  const multiplexer = createMultiplexer({
    stdin: server.stdin,
    stdout: server.stdout,
    now,
    ...hearing,
    onGarbage: seldom((lines) => logger.warn({ event: 'server-output-ignored', lines }, 'output that is no message')),
    onLost: (reason) => {
      logger.warn({ event: 'server-output-lost', reason }, 'stopping the server');
      void server.stop();
    },
  });
  void server.exited.then((exit) => {
    ended = `The server ${describeExit(exit)}; its log says more.`;
    onExit(server);
    questions.forgetAll();
    multiplexer.fail(`${launch.id}: ${ended}`);
    logger.info({ event: 'server-exited', ...exit }, 'server ended');
  });
  return { process: server, multiplexer, questions, ended: () => ended, stamp: () => `${startId}.${changes}`, onListChange };
};
