import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { ServerLaunch } from '../../schema/server-launch.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RunningServer } from '../ports/server-runtime.ts';
import { type Handshake, hostHandshake, type InitializeResult, initializeServer } from '../stdio/initialize-server.ts';
import type { RuntimeChooser } from './choose-runtime.ts';
import { type ClientState, createClientState } from './client-state.ts';
import { type Greeting, greetServer } from './greet-server.ts';
import type { KnownEras } from './known-eras.ts';
import { listenForListChanges } from './listen-for-list-changes.ts';
import { createStartLimiter } from './start-limiter.ts';
import { type StartedServer, startServer } from './start-server.ts';

/** A server that does not answer the first messages within this time is given up. */
const startTimeoutMs = 30_000;

/** A server ready for calls. */
export type ReadyServer = StartedServer & { greeting: Greeting };

/** Collaborators of an instance; `now` is a clock in milliseconds, `probeTimeoutMs` how long the question for the era may take. */
export type InstanceParts = {
  chooseRuntime: RuntimeChooser;
  logDirectory: string;
  logger: Logger;
  now: () => number;
  knownEras: KnownEras;
  probeTimeoutMs: number;
};

export type ServerInstance = {
  readonly launch: ServerLaunch;
  readonly clients: ClientState;
  /**
   * The running server; one that died is started again, at most five times in 60 s.
   * @throws {PlatformError} `server_unavailable`, `isolation_unavailable`, `input_invalid`; its fact `sent` is false
   */
  ready(): Promise<ReadyServer>;
  /** Whether it runs now, without starting it. */
  current(): ReadyServer | undefined;
  /** Introduces a client to a process of the legacy era; the first one counts. @throws {PlatformError} as `ready` */
  initialize(handshake: Handshake): Promise<InitializeResult>;
  /** Something was asked of it at this moment. */
  touch(): void;
  /** Milliseconds since it was of use to anybody; 0 while it works or somebody waits for news of a resource. */
  idleMs(): number;
  /** Ends the process for good; what is pending fails with `server_unavailable`. */
  stop(): Promise<void>;
};

export const createServerInstance = (launch: ServerLaunch, parts: InstanceParts): ServerInstance => {
  const { now, knownEras, probeTimeoutMs } = parts;
  const logger = parts.logger.child({ instance: launch.id });
  const limiter = createStartLimiter(now);
  const stopping = new AbortController();
  let running: ReadyServer | undefined;
  let starting: Promise<ReadyServer> | undefined;
  let introducing: Promise<InitializeResult> | undefined;
  /** What processes are told of the client: the same each time. */
  let handshake = launch.instance === 'shared' ? hostHandshake : undefined;
  let usedAt = now();
  const clients = createClientState(now, () => (stopping.signal.aborted ? undefined : running?.multiplexer));

  const unavailable = (text: string, cause?: unknown) =>
    new PlatformError('server_unavailable', `${launch.id}: ${text}`, { cause, facts: { sent: false } });
  /** What became of a start: how the process ended says more than that it did not answer. */
  const failed = (server: StartedServer, error: unknown) =>
    unavailable(server.ended() ?? (isPlatformError(error) ? error.detail : 'It could not be started.'), error);
  const deadline = () => AbortSignal.any([AbortSignal.timeout(startTimeoutMs), stopping.signal]);

  const onExit = (process: RunningServer): void => {
    if (running?.process !== process) return;
    running = undefined;
    // Who listens hears nothing of a server that is not there.
    if (clients.isListenedTo()) ready().catch(() => undefined);
  };

  const startOnce = async (): Promise<ReadyServer> => {
    let greeting: Greeting = { era: 'legacy' };
    const isProbed = !knownEras.isLegacy(launch);
    const server = await startServer({ ...parts, launch, logger, sessions: clients.sessions, era: () => greeting.era, onExit });
    const { multiplexer, process } = server;
    try {
      greeting = await greetServer({ multiplexer, launch, knownEras, handshake, probeTimeoutMs, signal: deadline() });
      if (server.ended() !== undefined || stopping.signal.aborted) throw unavailable('It is being stopped.');
    } catch (error) {
      const failure = failed(server, error);
      const hasDied = server.ended() !== undefined;
      await process.stop();
      if (!isProbed || !hasDied || stopping.signal.aborted) throw failure;
      // Some old servers end at a message that they do not know. If that was not why, the next failure makes it be forgotten.
      knownEras.remember(launch);
      return startOnce();
    }
    if (greeting.era === 'modern') listenForListChanges(multiplexer, greeting.discovered, server.onListChange);
    else if (greeting.initialized) clients.restore(multiplexer, greeting.initialized);
    running = { ...server, greeting };
    logger.info({ event: 'server-started', serverPid: process.pid, isolation: process.isolation, era: greeting.era }, 'server started');
    return running;
  };

  const start = async (): Promise<ReadyServer> => {
    const waitMs = limiter.take();
    if (waitMs > 0) throw unavailable(`it ended too often; it is started again in ${Math.ceil(waitMs / 1000)} s at the earliest.`);
    return startOnce();
  };

  /** One that has ended, or reads nothing more, gives nothing: it has to be gone before the next one takes its place. */
  const startNext = async (): Promise<ReadyServer> => {
    await running?.process.stop();
    if (stopping.signal.aborted) throw unavailable('it is being stopped.');
    return start();
  };

  const ready = (): Promise<ReadyServer> => {
    if (stopping.signal.aborted) return Promise.reject(unavailable('it is being stopped.'));
    // a process is heard of as ended only when its output was read, which takes a while where something that it left behind holds the pipe
    if (running?.process.stdin.writable) return Promise.resolve(running);
    starting ??= startNext().finally(() => {
      starting = undefined;
    });
    return starting;
  };

  const introduce = async (server: ReadyServer, given: Handshake): Promise<InitializeResult> => {
    try {
      const initialized = await initializeServer(server.multiplexer, given, deadline());
      server.greeting = { era: 'legacy', initialized };
      handshake = given;
      knownEras.remember(launch);
      return initialized;
    } catch (error) {
      knownEras.forget(launch);
      const failure = failed(server, error);
      // What a process made of half an introduction is not known; the next one begins anew, with the question for its era.
      await server.process.stop();
      throw failure;
    }
  };

  return {
    launch,
    clients,
    ready,
    current: () => running,
    initialize: async (given) => {
      const server = await ready();
      if (server.greeting.era === 'modern') throw unavailable('it speaks no revision that begins with `initialize`.');
      if (server.greeting.initialized) return server.greeting.initialized;
      introducing ??= introduce(server, given).finally(() => {
        introducing = undefined;
      });
      return introducing;
    },
    touch: () => {
      usedAt = now();
    },
    idleMs: () => {
      if (starting || clients.isAwaited() || running?.multiplexer.isBusy()) usedAt = now();
      return now() - usedAt;
    },
    stop: async () => {
      stopping.abort();
      clients.sessions.endAll();
      await starting?.catch(() => undefined);
      await running?.process.stop();
    },
  };
};
