import type { ClientFacts, ClientSession } from '../mcp/client-request.ts';

/** A legacy session as this replica holds it while it is in use; all that has to last is in the database. */
export type Session = ClientSession & {
  principalName: string;
  /** Canonical path of its endpoint. */
  path: string;
  transport: 'streamable' | 'sse';
  client: ClientFacts;
  /** Sealed ids that led here. */
  texts: string[];
  /** Milliseconds since the epoch. */
  usedAt: number;
  /** When its use was last written down. */
  notedAt: number;
  /** What is here may differ from what is in the database. */
  isStale: boolean;
  hasEnded: boolean;
  /** Requests under way at this replica, by `requestKey`. */
  running: Map<string, AbortController>;
  /** Standing streams whose connection this replica holds; the newest is last. */
  readers: Set<{ end(): void }>;
  /** A change that is being written down. */
  saving: Promise<void> | undefined;
};
