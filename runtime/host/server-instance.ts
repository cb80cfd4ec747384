import { randomUUID } from 'node:crypto';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { ReadyInstance, ServerLaunch } from '../../schema/server-launch.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RunningServer, ServerExit } from '../ports/server-runtime.ts';
import { type InitializeResult, initializeServer } from '../stdio/initialize-server.ts';
import { createMultiplexer, type Multiplexer } from '../stdio/multiplexer.ts';
import { createCappedLog, serverLogPath } from './capped-log.ts';
import type { RuntimeChooser } from './choose-runtime.ts';
import { createStartLimiter } from './start-limiter.ts';

/** A server that does not answer the first message within this time is given up. */
const startTimeoutMs = 30_000;

/** A server ready for calls. `stamp` is another after each start, and after each time the server said that its tools changed. */
export type ReadyServer = { process: RunningServer; multiplexer: Multiplexer; initialized: InitializeResult; stamp(): string };

/** Collaborators of an instance; `now` is a clock in milliseconds. */
export type InstanceParts = { chooseRuntime: RuntimeChooser; logDirectory: string; logger: Logger; now: () => number };

export type ServerInstance = {
  readonly launch: ServerLaunch;
  /**
   * The running server; one that died is started again, at most five times in 60 s.
   * @throws {PlatformError} `server_unavailable`, `isolation_unavailable`, `input_invalid`; its fact `sent` is false
   */
  ready(): Promise<ReadyServer>;
  /** Whether it runs now, without starting it. */
  current(): ReadyServer | undefined;
  /** Ends the process for good; what is pending fails with `server_unavailable`. */
  stop(): Promise<void>;
};

/** Facts for the answer to whoever asked for a ready instance. */
export const describeReady = ({ process, initialized }: ReadyServer): ReadyInstance => ({
  state: 'ready',
  isolation: process.isolation,
  pid: process.pid,
  serverInfo: initialized.serverInfo,
  protocolVersion: initialized.protocolVersion,
});

const describeExit = ({ code, signal, failure }: ServerExit): string =>
  failure !== undefined ? `could not be started: ${failure}` : signal !== null ? `was ended by ${signal}` : `ended with code ${code}`;

/** True at 1, 10, 100, …: noise is reported without becoming noise itself. */
const isPowerOfTen = (count: number): boolean => /^10*$/.test(String(count));

export const createServerInstance = (launch: ServerLaunch, parts: InstanceParts): ServerInstance => {
  const { chooseRuntime, logDirectory, now } = parts;
  const logger = parts.logger.child({ instance: launch.id });
  const limiter = createStartLimiter(now);
  let running: ReadyServer | undefined;
  let starting: Promise<ReadyServer> | undefined;
  const stopping = new AbortController();

  const unavailable = (text: string, cause?: unknown) =>
    new PlatformError('server_unavailable', `${launch.id}: ${text}`, { cause, facts: { sent: false } });

  const connect = (server: RunningServer): Multiplexer => {
    let garbageLines = 0;
    return createMultiplexer({
      stdin: server.stdin,
      stdout: server.stdout,
      onGarbage: () => {
        garbageLines += 1;
        if (isPowerOfTen(garbageLines)) logger.warn({ event: 'server-output-ignored', lines: garbageLines }, 'output that is no message');
      },
      onLost: (reason) => {
        logger.warn({ event: 'server-output-lost', reason }, 'stopping the server');
        void server.stop();
      },
    });
  };

  const start = async (): Promise<ReadyServer> => {
    const waitMs = limiter.take();
    if (waitMs > 0) throw unavailable(`it ended too often; it is started again in ${Math.ceil(waitMs / 1000)} s at the earliest.`);
    const server = await (await chooseRuntime()).start(launch);
    if (server.pid === 0) throw unavailable(`The server ${describeExit(await server.exited)}.`);
    server.stderr.pipe(createCappedLog(serverLogPath(logDirectory, launch.id)));
    const multiplexer = connect(server);
    let ended: string | undefined;
    void server.exited.then((exit) => {
      ended = `The server ${describeExit(exit)}; its log says more.`;
      if (running?.process === server) running = undefined;
      multiplexer.fail(`${launch.id}: ${ended}`);
      logger.info({ event: 'server-exited', ...exit }, 'server ended');
    });
    try {
      const initialized = await initializeServer(multiplexer, AbortSignal.any([AbortSignal.timeout(startTimeoutMs), stopping.signal]));
      if (ended !== undefined || stopping.signal.aborted) throw unavailable(ended ?? 'It is being stopped.');
      const startId = randomUUID();
      running = { process: server, multiplexer, initialized, stamp: () => `${startId}.${multiplexer.toolChangeCount()}` };
    } catch (error) {
      const reason = ended ?? (isPlatformError(error) ? error.detail : 'It could not be started.');
      await server.stop();
      throw unavailable(reason, error);
    }
    logger.info({ event: 'server-started', serverPid: server.pid, isolation: server.isolation }, 'server started');
    return running;
  };

  return {
    launch,
    current: () => running,
    ready: () => {
      if (stopping.signal.aborted) return Promise.reject(unavailable('it is being stopped.'));
      if (running !== undefined) return Promise.resolve(running);
      starting ??= start().finally(() => {
        starting = undefined;
      });
      return starting;
    },
    stop: async () => {
      stopping.abort();
      await starting?.catch(() => undefined);
      await running?.process.stop();
    },
  };
};
