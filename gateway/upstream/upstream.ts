import type { Era, LogLevel } from '../../schema/mcp-revisions.ts';
import type { ResolvedPath } from '../../schema/server-launch.ts';
import type { UnderWay } from '../limits/under-way.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import type { RunOfServer } from '../mcp/launch-of.ts';
import type { JsonObject, Notification, Question, Reply } from '../mcp/message.ts';

/** One request to a server. */
export type UpstreamRequest = {
  method: string;
  /** Without `_meta`. */
  params: JsonObject;
  /** What goes into `_meta` beside what the era needs: trace context, operation id. A progress token is added when `onNotification` is given and the caller wants progress. */
  meta?: JsonObject;
  wantsProgress?: boolean;
  /** `Mcp-Param-*` headers to send along to a modern server. */
  parameterHeaders?: Readonly<Record<string, string>>;
  /** `Mcp-Name` of a modern request: the tool's or prompt's own name at the server, or the URI there. */
  name?: string;
  /** Gives up when nothing was heard for so long; progress and log messages begin it anew. */
  idleTimeoutMs: number;
  /** Gives up after so long in any case. */
  totalTimeoutMs: number;
  signal: AbortSignal;
  /** Whose it is: a halt gives it up, like its caller would. */
  underWay?: UnderWay;
  /** Progress (with the token taken out: `params.progressToken` is absent) and log messages of this request. Awaited: a slow reader slows the server's stream. */
  onNotification?(notification: Notification): Promise<void> | void;
  /** A legacy server asks in the middle of the request. Absent: it is told that there is no such method. */
  onAsk?(question: Question, signal: AbortSignal): Promise<Reply>;
};

/** Which changes a subscriber wants to hear of; URIs as the server spells them. */
export type ListenFilter = { lists?: boolean; resources?: readonly string[] };

/** Whose requests go through a connection: what a server holds for one caller must not meet another. */
export type CallerOfServer = {
  run?: RunOfServer;
  /** By one name, whatever the session: each has a fair share of the server's connections. */
  principal: string;
  /** Who shares one session at a legacy server: a legacy client's session id, or for modern clients their principal. */
  sessionKey: string;
  client: ClientFacts;
  logLevel?: LogLevel;
  /** Log messages of a legacy server that come when no request of the session is under way. */
  onStray?(notification: Notification): void;
};

/** A server that answers, as one caller has it. */
export type Connection = {
  readonly era: Era;
  /** As the server declared them. */
  readonly capabilities: JsonObject;
  readonly instructions?: string;
  /** The proved tier of its cage; a remote server has 0: nothing is known of it. */
  readonly isolation: number;
  /** Hash of each definition as it was at the last look; keys are `kind/name`. */
  readonly offered: ReadonlyMap<string, string>;
  readonly resolvePaths?: (paths: string[]) => Promise<ResolvedPath[]>;
  /** @throws {PlatformError} `calls_exhausted` when the caller has as many calls under way as it may; `request` throws it too */
  assertRoom(): void;
  /**
   * Sends one request; at most once on the wire.
   * @throws {UpstreamLost} (upstream-lost.ts) when no answer came; `wasSent: false` only where that is certain
   * @throws {ResultTooLarge} (result-too-large.ts) when it ran and its answer is over the limit
   */
  request(request: UpstreamRequest): Promise<Reply>;
};
