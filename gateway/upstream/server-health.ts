import { type Breaker, type BreakerState, createBreaker } from './breaker.ts';
import type { Way } from './greet-server.ts';
import type { Place } from './place.ts';
import type { McpServer, ServerFacts } from './upstream-pool.ts';

/** What is remembered of a server beyond its connections. */
export type Health = { readonly place: Place; readonly breaker: Breaker; way?: Way | undefined };

export type ServerHealth = {
  at(place: Place): Health;
  stateOf(server: McpServer): BreakerState;
  /** Undefined until the server has answered once. */
  factsOf(server: McpServer): ServerFacts | undefined;
  tellFacts(place: Place, facts: ServerFacts): void;
  onChange(listener: (server: McpServer) => void): () => void;
  /** Forgets places of runs and sessions that are over. */
  prune(isInUse: (placeKey: string) => boolean): void;
  /** Forgets what fits. */
  drop(fits: (server: McpServer) => boolean): void;
};

const serverKey = ({ uid, generation }: McpServer): string => `${uid}/${generation}`;
/** A process of one run or session that fails says nothing of the others. */
const placeKey = ({ server, run, session, key }: Place): string => (run || session ? `${serverKey(server)}/${key}` : serverKey(server));

/** Health and facts of all servers, by resource and generation: a server that is applied anew is met as a stranger. */
export const createServerHealth = ({ now }: { now: () => number }): ServerHealth => {
  const known = new Map<string, Health>();
  const facts = new Map<string, ServerFacts>();
  const listeners = new Set<(server: McpServer) => void>();
  const tell = (server: McpServer): void => {
    for (const listener of listeners) listener(server);
  };

  const at = (place: Place): Health => {
    const key = placeKey(place);
    const found = known.get(key);
    if (found) return found;
    const health: Health = { place, breaker: createBreaker({ now, onChange: () => tell(place.server) }) };
    known.set(key, health);
    return health;
  };

  return {
    at,
    stateOf: (server) => known.get(serverKey(server))?.breaker.state() ?? 'closed',
    factsOf: (server) => facts.get(serverKey(server)),
    tellFacts: ({ server }, said) => {
      const key = serverKey(server);
      const isNews = JSON.stringify(facts.get(key)) !== JSON.stringify(said);
      facts.set(key, said);
      if (isNews) tell(server);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    prune: (isInUse) => {
      for (const [key, { place, breaker }] of known)
        if ((place.run || place.session) && !isInUse(place.key) && breaker.state() !== 'open') known.delete(key);
    },
    drop: (fits) => {
      for (const [key, { place }] of known)
        if (fits(place.server)) {
          known.delete(key);
          facts.delete(serverKey(place.server));
        }
    },
  };
};
