import { entityUid } from '../policy/entities.ts';
import { backendEntities } from '../policy/toolset-entities.ts';
import { qualifiedName } from '../schema/ids.ts';
import { type Decision, decide } from './decide.ts';
import type { GatewayContext } from './gateway-context.ts';
import type { Principal } from './principal.ts';
import type { Source } from './surface/exposed.ts';

/** All that tokens for a backend may be. */
export type BackendBounds = { scopes: readonly string[]; maxTtlSeconds: number };
type Entities = ReturnType<typeof backendEntities>;

const known = new WeakMap<BackendBounds, Map<string, Entities>>();

/** Made once for bounds that are kept, so that decisions about them are found again. */
const entitiesOf = ({ tenancy, toolset, server }: Source, bounds: BackendBounds, isolation: number): Entities => {
  let ofBounds = known.get(bounds);
  if (!ofBounds) {
    ofBounds = new Map();
    known.set(bounds, ofBounds);
  }
  const key = `${qualifiedName(tenancy, server.metadata.name)} ${toolset} ${isolation}`;
  let entities = ofBounds.get(key);
  if (!entities) {
    entities = backendEntities({ ...tenancy, toolset, server: server.metadata.name, isolation, ...bounds });
    ofBounds.set(key, entities);
  }
  return entities;
};

/**
 * Asks the policies whether a caller may be given a token for a server behind a toolset.
 * @param bounds - what the server declares; the same object each time is faster
 * @param token.ttlSeconds - life that is asked for; 0 where that is the issuer's to say
 * @param token.depth - how often the caller's own token was handed on already
 */
export const decideExchange = (
  context: GatewayContext,
  principal: Principal,
  source: Source,
  bounds: BackendBounds,
  { scopes, ttlSeconds, depth }: { scopes: readonly string[]; ttlSeconds: number; depth: number },
  isolation = 0,
): Decision =>
  decide(context, {
    principal,
    tenancy: source.tenancy,
    action: 'exchange',
    resource: entityUid('Backend', qualifiedName(source.tenancy, source.server.metadata.name)),
    entities: entitiesOf(source, bounds, isolation),
    facts: { scopes: [...scopes], ttl: ttlSeconds, depth },
  });
