import { createHash } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import { canonicalJson } from '../../store/resources.ts';
import { type ContentKeys, seal, unseal } from '../../store/secrets/seal.ts';
import type { ClientRequest, Round } from '../mcp/client-request.ts';
import { principalName } from '../principal.ts';

/** How long a client may take to answer. */
export const stateLifetimeMs = 5 * 60_000;

/** What the gateway lets a client keep between two rounds: what the next round needs to know, or which parked call waits for the answers. */
export type RequestState = { round: Round } | { call: string };

/** What the state may be used for: one caller, one endpoint, the very same request. Another one does not open it. */
const contextOf = ({ principal, endpoint, method, params }: ClientRequest): string => {
  const { _meta, inputResponses, requestState, task, ...same } = params;
  const digest = createHash('sha256').update(canonicalJson(same)).digest('base64url');
  return `mcp-state\n${principalName(principal)}\n${endpoint.path}\n${method}\n${digest}`;
};

/** A round that is told of once more does not last longer by that. */
const expiryOf = (state: RequestState): number | undefined => ('round' in state ? state.round.expiresAt : undefined);

/** Seals a state with the request that it belongs to and its expiry. @returns the `requestState` for the client */
export const sealState = (keys: ContentKeys, request: ClientRequest, state: RequestState, now: number): string =>
  seal(keys, Buffer.from(JSON.stringify({ ...state, expiresAt: expiryOf(state) ?? now + stateLifetimeMs })), contextOf(request)).toString(
    'base64url',
  );

/**
 * Opens the `requestState` of a retry. Altered, late, or from another caller or request: the answer is the same.
 * @throws {PlatformError} `request_invalid`
 */
export const openState = (keys: ContentKeys, request: ClientRequest, now: number): RequestState => {
  const refused = (cause?: unknown): PlatformError =>
    new PlatformError(
      'request_invalid',
      'Invalid params: `requestState` is not one of this request, or is too old; make the request anew.',
      {
        cause,
      },
    );
  const { requestState } = request.params;
  if (typeof requestState !== 'string' || !/^[\w-]+$/.test(requestState)) throw refused();
  const bytes = Buffer.from(requestState, 'base64url');
  // Node also reads text with something behind the last whole byte
  if (bytes.toString('base64url') !== requestState) throw refused();
  let state: RequestState & { expiresAt: number };
  try {
    state = JSON.parse(unseal(keys, bytes, contextOf(request)).toString());
  } catch (cause) {
    throw refused(cause);
  }
  if (state.expiresAt < now) throw refused();
  return state;
};
