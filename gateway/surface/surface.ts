import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Notification, Reply } from '../mcp/message.ts';
import type { Principal } from '../principal.ts';

export type ListKind = 'tools' | 'prompts' | 'resources';

/** What `initialize` and `server/discover` say of an endpoint. */
export type EndpointDescription = { capabilities: JsonObject; serverInfo: JsonObject; instructions?: string };

/** Everything that an endpoint offers, behind one door: the edge reads and writes messages, the surface knows what they mean. */
export type Surface = {
  /** What the endpoint says of itself to this caller; `era` decides which capabilities there are words for. */
  describe(principal: Principal, endpoint: Endpoint, era: 'modern' | 'legacy'): EndpointDescription;
  /**
   * Answers one request. Does not throw: a refusal or failure is a reply of kind `error`.
   * For `subscriptions/listen` it answers when the stream is to end; until then everything goes through `request.notify`.
   */
  handle(request: ClientRequest): Promise<Reply>;
  /** A notification of a legacy client other than `cancelled` and `initialized`, e.g. `notifications/roots/list_changed`. */
  notified(from: Omit<ClientRequest, 'method' | 'params' | 'notify' | 'ask'>, notification: Notification): void;
  /**
   * The lists that a caller sees have changed: tells which, until the returned function is called. The edge calls it for each open
   * standing stream of a legacy session; listen streams are served by `handle`.
   */
  watchLists(principal: Principal, endpoint: Endpoint, onChange: (kind: ListKind) => void): () => void;
  /** A legacy session ended (deleted or expired): frees what servers hold for it. */
  sessionEnded(sessionId: string): Promise<void>;
  /** The gateway is being stopped: streams that stand end gracefully. */
  drain(): Promise<void>;
};
