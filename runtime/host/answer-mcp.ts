/*
 * What the gateway meets at `/instances/{id}/mcp`: a streamable HTTP server of the era that `PUT /instances/{id}` told (`era`), with these facts.
 *
 * Both eras
 *  - `authorization: Bearer <key>` on everything, no `origin`. An instance that the host does not have: 404 with problem details on every
 *    method; PUT it again. That happens when the host was restarted, or when the instance was idle or lost its last session.
 *  - `quarterdeck-instance` on every answer to a request: the stamp of the process that answers. It is another one after each start of the
 *    process and after each `list_changed` of tools, prompts or resources. Sent along with a request it means: only this one; else the
 *    request is not made and the answer has `quarterdeck-lost: other-instance`.
 *  - `quarterdeck-lost` on an answer that is not the server's own (schema/host-headers.ts): a JSON-RPC error with code -32000 and
 *    `data {code, retryable}`, HTTP 200. Without this header every JSON-RPC answer, error or result, is the server's word; it too comes
 *    with HTTP 200, whatever its code.
 *  - A request is answered as JSON, or as `text/event-stream` once there is something to say before the answer and `accept` allows it; the
 *    answer is then the last event. Events have no ids: nothing can be resumed.
 *  - Closing the connection of a POST takes its request back (`notifications/cancelled` to the process), whatever the era.
 *  - Ids and progress tokens are the caller's own; two callers may use equal ones.
 *  - What is not read: progress is left out beyond 1 MiB, a standing or listen stream ends there.
 *
 * Legacy (2024-11-05 to 2025-11-25)
 *  - `initialize` gives a session of the host in `mcp-session-id`; cheap, and never sent twice to a process. The answer names the revision that
 *    the process speaks, which may be another than was asked for. `notifications/initialized` may be left out.
 *  - Requests without a session are fine at a shared instance, except `resources/subscribe`, `resources/unsubscribe` and `logging/setLevel`
 *    (400). A session that is not known any more: 404 with `quarterdeck-lost: not-sent` and a JSON-RPC body, where the request needs the
 *    session (GET, DELETE, those three, everything at a `session` instance); begin again with `initialize`. A session without an open stream
 *    and without requests is forgotten after 10 minutes.
 *  - GET opens the session's standing stream (one; a second takes the place of the first). On it: `notifications/{tools,prompts,resources}/
 *    list_changed`, also after the process was started again; `notifications/resources/updated` for what this session subscribed to; at a
 *    `session` instance also requests and whatever else belongs to no request under way. A comment every 25 s. When the stream ends by
 *    itself and GET answers 404, do not begin anew before there is a request to send: the instance was stopped because it was idle.
 *  - DELETE ends the session (204): its requests are cancelled, its subscriptions dropped; a `session` instance without any session stops.
 *  - Log messages go to the request under way when exactly one is, and otherwise, at a `session` instance, to its standing stream. At a shared
 *    instance they go to nobody then: they may speak of another caller's data. `logging/setLevel` counts for its session only.
 *  - `instance: session`: the first `initialize` hands `capabilities`, `clientInfo` and `protocolVersion` on to the process; later ones get
 *    the same answer (put the capabilities into the session key if they can differ). Requests of the server come on the stream of the newest
 *    POST under way that takes events, else on the standing stream, with an id of the host; answer them by POST (202) within the
 *    session. Where neither is open within 0.9 s the server gets an error. If the stream that carried it closes, the question is lost too.
 *    A process that died is started again by the next request and gets the same `initialize`, subscriptions and log level; what else it
 *    knew of its client is gone, and the stamp is another.
 *  - At a shared instance requests of the server are refused with a text that names `instance: session`.
 *  - A modern request (`server/discover`, or a modern revision in `_meta`) never reaches the process: 400, -32600.
 *
 * Modern (2026-07-28)
 *  - No session, no GET (405), no DELETE (405); `initialize` gets 400, -32022 with `data.supported`. `Mcp-*` headers are not looked at.
 *  - `_meta` passes as it is, the progress token mapped. `server/discover` passes too.
 *  - `subscriptions/listen` is a POST that stays open; `subscriptionId` is the caller's request id. When the process dies, or the server ends the
 *    subscription without an answer, the last event is an error with code -32000: listen again.
 *  - Log messages go to the one request under way that asked for them by `logLevel` in `_meta`, and to nobody when several did.
 *  - `resources/updated` and `list_changed` come on listen streams alone. The host listens for `list_changed` itself too, for the stamp.
 *  - A server of both eras is spoken to in the modern way: there every request stands for itself, so that many callers can share the process
 *    and the server can still ask them things (by `input_required`).
 */
import { answerPost } from './answer-post.ts';
import type { ClientSession } from './client-sessions.ts';
import { sendEmpty } from './http-messages.ts';
import { type McpExchange, sendSessionMissing, sessionOf } from './mcp-exchange.ts';
import { openStandingStream } from './open-standing-stream.ts';

/** Ends the session; an instance that serves one client alone has no more to do once its last session is gone. */
const endSession = async ({ instance, response }: McpExchange, session: ClientSession, onUnused: () => Promise<void>): Promise<void> => {
  const { sessions } = instance.clients;
  sessions.end(session);
  if (instance.launch.instance === 'session' && sessions.all().length === 0) await onUnused();
  sendEmpty(response, 204);
};

/**
 * Answers one HTTP request to an instance's MCP endpoint, as written above.
 * @param onUnused - stops and forgets the instance
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
export const answerMcp = async (exchange: McpExchange, onUnused: () => Promise<void>): Promise<void> => {
  const { instance, request, response } = exchange;
  instance.touch();
  if (request.method === 'POST') return answerPost(exchange);
  const allow = instance.current()?.greeting.era === 'modern' ? 'POST' : 'GET, POST, DELETE';
  if (!allow.includes(request.method ?? '')) return sendEmpty(response, 405, { allow });
  const session = sessionOf(exchange);
  if (typeof session === 'string') return sendSessionMissing(exchange, session, null);
  if (request.method === 'DELETE') return endSession(exchange, session, onUnused);
  if (request.headers.accept?.includes('text/event-stream') !== true) return sendEmpty(response, 406);
  openStandingStream(exchange, session);
};
