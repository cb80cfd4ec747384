/** Where the answers to the requests of one POST go, and what belongs to those requests. Messages are JSON-RPC as text. */
export type Outlet = {
  /** False when questions cannot be sent at all. */
  readonly canAsk: boolean;
  /** Resolves when more may be said. */
  say(message: string): Promise<void>;
  /** @throws {PlatformError} `client_unreachable` */
  ask(message: string): Promise<void>;
  /** The answer of one request; `challenge` asks for another login, where the transport can. */
  reply(message: string, challenge?: string): void;
  /** A request that the client has taken back gets no answer; `message` is for where the transport needs one. */
  skip(message: string): void;
};
