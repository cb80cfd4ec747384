import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { Reply } from '../mcp/message.ts';
import type { Principal } from '../principal.ts';
import type { ListKind, Surface } from '../surface/surface.ts';

/** What the exchange asks of the surface that it serves. */
export type SurfaceOfExchange = Pick<Surface, 'watchLists'> & {
  /** Which lists the endpoint has for this caller, and can tell changes of. */
  listsOf(principal: Principal, endpoint: Endpoint): readonly ListKind[];
};

/**
 * All that goes back and forth while or after a request is served. Made once by `createExchange`; nothing of it throws:
 * refusals and failures are replies of kind `error`.
 */
export type Exchange = {
  /**
   * Serves a request in whose middle the server may ask something: `tools/call`, `prompts/get`, `resources/read`. Opens and seals
   * `requestState`, parks the work while a modern client is asked, turns a long tool call into a task. `work` gets the request to go
   * on with and uses it in place of the client's; it ends in `callTool` or `exchangeWithServer`, and may throw.
   */
  serve(request: ClientRequest, work: (request: ClientRequest) => Promise<Reply>): Promise<Reply>;
  /** `tasks/get`, `tasks/update`, `tasks/cancel` of a modern client. */
  handleTask(request: ClientRequest): Promise<Reply>;
  /** `subscriptions/listen` of a modern client; answers when the stream is to end. */
  listen(request: ClientRequest): Promise<Reply>;
  /** `resources/subscribe` and `resources/unsubscribe` of a legacy client. */
  subscribe(request: ClientRequest): Promise<Reply>;
  unsubscribe(request: ClientRequest): Promise<Reply>;
  /** Forgets what a legacy session is subscribed to. */
  sessionEnded(sessionId: string): void;
  /** The gateway is being stopped: standing streams end gracefully, and calls without their clients are let end, or given up after a while. */
  drain(): Promise<void>;
};
