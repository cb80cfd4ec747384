/** What is attacked: an edge that listens, and how its callers are known there. */
export type FuzzTarget = {
  port: number;
  token: string;
  path: string;
  /** A tool that may be called as often as one likes. */
  tool: string;
  /** Legacy sessions that are open there; some of them will be ended by what is sent. */
  sessions: readonly string[];
};
