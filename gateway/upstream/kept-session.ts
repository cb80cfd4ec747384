export type SessionAtServer = { id: string; protocolVersion: string };

/** Where a session at a server is kept for the other replicas. Nothing is thrown: without its keeper a session is this replica's alone. */
export type KeptSession = {
  find(): Promise<SessionAtServer | undefined>;
  /** @returns the one that was kept first: ours, or another replica's */
  keep(session: SessionAtServer): Promise<SessionAtServer>;
  /** The server does not know it any more. */
  lose(id: string): Promise<void>;
};
