/** So many calls a principal may have under way however many others there are; what finds no free connection waits in line. */
const leastCalls = 8;

/** The calls of principals that are under way on the connections of one server. */
export type CallShares = {
  /** @param underWay - the calls of all */
  hasRoom(principal: string, underWay: number): boolean;
  begin(principal: string): void;
  end(principal: string): void;
};

/**
 * Holds each principal to a fair share of a server's connections: as many as it leaves free. One alone gets half of them, the next half of
 * the rest, and nobody can take the last ones from everybody else.
 */
export const createCallShares = (connections: number): CallShares => {
  const calls = new Map<string, number>();
  return {
    hasRoom: (principal, underWay) => (calls.get(principal) ?? 0) < Math.max(leastCalls, connections - underWay),
    begin: (principal) => {
      calls.set(principal, (calls.get(principal) ?? 0) + 1);
    },
    end: (principal) => {
      const left = (calls.get(principal) ?? 1) - 1;
      if (left > 0) calls.set(principal, left);
      else calls.delete(principal);
    },
  };
};
