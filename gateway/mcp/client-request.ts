import type { IncomingHttpHeaders } from 'node:http';
import type { Tenancy } from '../../schema/ids.ts';
import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { Era, LogLevel } from '../../schema/mcp-revisions.ts';
import type { McpTaskContent } from '../../store/mcp-tasks.ts';
import type { Principal } from '../principal.ts';
import type { JsonObject, Notification, Question, Reply, RequestId } from './message.ts';
import type { Trace } from './trace-context.ts';

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

/** What was agreed with a server in earlier rounds of a request (MRTR). */
export type Round = {
  /** The same however often the client is told of it. Absent in what earlier releases wrote down. */
  id?: string;
  /** Milliseconds since the epoch: nobody goes on with it later. */
  expiresAt?: number;
  /** 1 is the first retry. */
  number: number;
  /** Name of the server that asked, with its tenancy. */
  server: string;
  /** The server's own `requestState`. */
  state?: string;
  /** Of the first round, where it was a tool call. */
  operationId?: string;
};

/**
 * One request of a client, read and checked by the edge: the same shape for both eras and all transports.
 * `params` are the client's own, `_meta` included; the edge has checked that they are an object.
 */
export type ClientRequest = {
  /** As the client gave it: names the subscription that `subscriptions/listen` opens. */
  id?: RequestId;
  method: string;
  params: JsonObject;
  principal: Principal;
  endpoint: Endpoint;
  client: ClientFacts;
  /** Legacy only. */
  session?: ClientSession;
  /** The header `Idempotency-Key`. */
  idempotencyKey?: string;
  /** Headers `Mcp-Param-*` as they came, names in lower case; the steps of a tool call compare them with its arguments (`checkParameterHeaders`). */
  parameterHeaders: Readonly<Record<string, string>>;
  /** Set where the call came by `call_tool`: its client has the tool's schema from no list, and need not repeat arguments in headers. */
  isFound?: true;
  /** Lowest level of log messages that the client wants for this request; undefined = none (modern: `_meta`; legacy: the session's). */
  logLevel: LogLevel | undefined;
  /** Where there is a `traceparent` among the headers; `traceOf` reads it, and keeps the trace. */
  traceHeaders?: IncomingHttpHeaders;
  trace?: Trace;
  /** A later round of a request that needed input, as its sealed `requestState` says; set by `exchange.serve`, never by the edge. */
  round?: Round;
  /**
   * Where a request may go on after its answer: a tool call says here which operation it is, so that its outcome can be found, and what it
   * was allowed for, so that it can be decided again. Set by `exchange.serve`.
   */
  standing?: { operation?: Tenancy & { id: string }; asked?: NonNullable<McpTaskContent['asked']> };
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
