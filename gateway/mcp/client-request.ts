import type { Principal } from '../principal.ts';
import type { Endpoint } from './endpoint.ts';
import type { JsonObject, Notification, Question, Reply } from './message.ts';
import type { Era, LogLevel } from './revisions.ts';

/** What a client said of itself: per request in the modern era, at `initialize` in the legacy one. */
export type ClientFacts = {
  era: Era;
  protocolVersion: string;
  info?: { name: string; version: string };
  /** As the client declared them, e.g. `{ elicitation: { form: {} }, sampling: {}, roots: {}, extensions: {…} }`. */
  capabilities: JsonObject;
};

/** A legacy session, as what serves its requests sees it. Its state can be taken up by any replica. */
export type ClientSession = {
  /** Our own id of the session, not the sealed text that the client holds. */
  id: string;
  /** For what belongs to no request: goes to the session's standing stream, at this replica or another one. */
  notify(notification: Notification): void;
  /** Asks the client outside a request, on its standing stream. Rejects with a PlatformError `client_unreachable` within 1 s when none is open. */
  ask(question: Question, signal: AbortSignal): Promise<Reply>;
  logLevel: LogLevel | undefined;
  setLogLevel(level: LogLevel): void;
};

/**
 * One request of a client, read and checked by the edge: the same shape for both eras and all transports.
 * `params` are the client's own, `_meta` included; the edge has checked that they are an object.
 */
export type ClientRequest = {
  method: string;
  params: JsonObject;
  principal: Principal;
  endpoint: Endpoint;
  client: ClientFacts;
  /** Legacy only. */
  session?: ClientSession;
  /** The header `Idempotency-Key`. */
  idempotencyKey?: string;
  /** Headers `Mcp-Param-*` as they came, names in lower case; already compared with the body where the tool's schema names them. */
  parameterHeaders: Readonly<Record<string, string>>;
  /** Lowest level of log messages that the client wants for this request; undefined = none (modern: `_meta`; legacy: the session's). */
  logLevel: LogLevel | undefined;
  /** Aborted when the request is to end: modern, when the connection is lost; legacy, by `notifications/cancelled`. */
  signal: AbortSignal;
  /** Progress and log messages of this request, in the order they are to be sent. Resolves when the reader can take more. */
  notify(notification: Notification): Promise<void>;
  /**
   * Asks the client something in the middle of the request (elicitation, sampling, roots): on the request's own stream.
   * Undefined where the client's era has no such thing (modern) or the transport cannot carry it.
   */
  ask?(question: Question, signal: AbortSignal): Promise<Reply>;
};
