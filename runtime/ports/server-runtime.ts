import type { Readable, Writable } from 'node:stream';
import type { ServerLaunch } from '../../schema/server-launch.ts';

/** How a server process ended; `signal` is set when it was killed, `failure` when it never came to life. */
export type ServerExit = { code: number | null; signal: string | null; failure?: string };

/** Maps paths between what callers say (cage paths) and what a server outside a cage sees (host paths). */
export type PathTranslation = {
  /** Arguments of a tool call on their way to the server. */
  toServer(value: unknown): unknown;
  /** A result on its way back. */
  fromServer(value: unknown): unknown;
};

/** A started stdio MCP server. `isolation` is the tier that was proved: 1 caged, 0 a bare process. */
export type RunningServer = {
  pid: number;
  isolation: 0 | 1;
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /** Resolves when the process is gone; never rejects. */
  exited: Promise<ServerExit>;
  /** Closes its input, then kills it and all it started; resolves when it is gone. Safe to call twice. */
  stop(): Promise<void>;
  /** Present where the server sees host paths instead of cage paths. */
  translation?: PathTranslation;
};

/**
 * The port of this folder: a way to run a stdio MCP server.
 * `start` resolves when the process runs, before MCP's handshake.
 * @throws {PlatformError} `input_invalid` for a launch that cannot be carried out, `server_unavailable`, `isolation_unavailable`
 */
export type ServerRuntime = { start(launch: ServerLaunch): Promise<RunningServer> };
