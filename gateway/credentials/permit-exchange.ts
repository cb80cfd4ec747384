import type { Decision } from '../decide.ts';
import { type BackendBounds, decideExchange } from '../decide-exchange.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Principal } from '../principal.ts';
import type { Source } from '../surface/exposed.ts';
import { argumentRefused } from '../surface/refuse.ts';
import type { McpServer } from '../upstream/upstream-pool.ts';
import { authOf } from './auth-of.ts';

/** The longest that the issuer gives out. */
const maxTtlSeconds = 3600;

const bounds = new WeakMap<McpServer, BackendBounds>();

const boundsOf = (server: McpServer, scopes: readonly string[]): BackendBounds => {
  const known = bounds.get(server);
  if (known) return known;
  const made = { scopes, maxTtlSeconds };
  bounds.set(server, made);
  return made;
};

/**
 * Asks the policies whether a caller may be given a credential for a server, before one is got. A server that is sent none is not asked about.
 * @param use - what it is for: its row is to say what refused it
 * @throws {PlatformError} `argument_refused`, with the rule
 */
export const permitExchange = (context: GatewayContext, principal: Principal, source: Source, use: { decision?: Decision }): void => {
  const auth = authOf(source.server);
  if (auth === undefined) return;
  const scopes = 'scopes' in auth ? auth.scopes : [];
  const depth = principal.kind === 'agent' ? 1 : 0;
  const asked = { scopes, ttlSeconds: maxTtlSeconds, depth };
  const decision = decideExchange(context, principal, source, boundsOf(source.server, scopes), asked);
  if (decision.effect === 'allow') return;
  use.decision = decision;
  throw argumentRefused(`A credential for ${source.server.metadata.name}`, decision);
};
