import type { IncomingHttpHeaders } from 'node:http';
import type { Era, LogLevel } from '../../schema/mcp-revisions.ts';
import type { JsonObject, Notification, Reply } from '../mcp/message.ts';
import type { StandingStream } from './standing-stream.ts';
import type { UpstreamRequest } from './upstream.ts';

export type SendOptions = {
  /** Only this process of our host is meant. */
  instance?: string | undefined;
  logLevel?: LogLevel | undefined;
  /** For log messages that come when no request is under way; the newest counts. */
  onStray?: ((notification: Notification) => void) | undefined;
  /** Headers of the answer, before it is read. */
  onHeaders?(headers: IncomingHttpHeaders): void;
};

/** What a server said of itself when it was first spoken to. */
export type Greeting = { protocolVersion: string; capabilities: JsonObject; instructions?: string };

/** How one caller speaks to a server; nothing is sent before it is needed. */
export type Session = {
  readonly era: Era;
  /** Number of requests under way. */
  readonly load: number;
  /** @throws {UpstreamLost | PlatformError} when the server does not answer its first request */
  open(): Promise<Greeting>;
  /** @throws {UpstreamLost | ResultTooLarge} */
  send(request: UpstreamRequest, options?: SendOptions): Promise<Reply>;
  notify(notification: Notification): void;
  /** Frees what is held here; with `atServer`, what the server holds for it too. */
  close(options?: { atServer?: boolean }): Promise<void>;
};

export type StandHooks = {
  /** The stream stands; `isAgain`: something may have been missed. */
  onUp?(isAgain: boolean): void;
  /** It stood, and broke. */
  onDown?(): void;
};

/** A session that the server knows too. */
export type StatefulSession = Session & {
  /** Whether the server gave the session an id; without one it knows no sessions. */
  readonly hasId: boolean;
  /** Opens the standing stream, or finds it there. */
  stand(hooks?: StandHooks): Promise<StandingStream>;
  /** Lets the standing stream go. */
  sitDown(): void;
};
