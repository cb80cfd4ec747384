import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { HttpAnswer, HttpRequest } from '../front/http-exchange.ts';
import type { RpcError } from '../mcp/message.ts';
import type { Principal } from '../principal.ts';

/** One HTTP request of an authenticated caller at one endpoint, and where its answer goes. */
export type EdgeRequest = {
  principal: Principal;
  endpoint: Endpoint;
  request: HttpRequest;
  response: HttpAnswer;
  /** The challenge that goes with an error, for those that another login would mend; undefined for all others. */
  challengeOf?: (error: RpcError) => string | undefined;
};

/** What serves clients of the revisions that begin with `initialize`. Its functions answer whatever happens, and do not throw. */
export type LegacyEdge = {
  /**
   * Answers a POST whose body is read. `message` is one JSON-RPC message that `checkMessage` has accepted, or an array that is not
   * empty, its elements unchecked; no key occurs twice in it, and it is at most 64 levels deep.
   */
  post(request: EdgeRequest & { message: unknown }): Promise<void>;
  get(request: EdgeRequest): Promise<void>;
  delete(request: EdgeRequest): Promise<void>;
  /** The gateway is being stopped: standing streams end now; streams of running requests end with their answers. */
  close(): Promise<void>;
};
