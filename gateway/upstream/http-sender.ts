import type { IncomingHttpHeaders } from 'node:http';

export type HttpRequest = {
  method: 'POST' | 'GET' | 'DELETE';
  path: string;
  /** Names and values in turn. */
  headers: string[];
  body?: string;
  /** Stays open for long: gets a connection beside those that requests share. */
  isStanding?: boolean;
};

/** Hears of one answer, piece by piece; nothing more after `onEnd` or `onError`, and nothing after an abort. */
export type HttpReader = {
  /** From now on bytes of the request may have left; before, certainly none. */
  onSent(): void;
  onStart(status: number, headers: IncomingHttpHeaders): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  onError(error: Error): void;
};

/** One request on its way. */
export type HttpFlight = {
  pause(): void;
  resume(): void;
  abort(): void;
};

export type HttpSender = {
  /** When anything last came from the server, by `performance.now()`; whoever reads an answer writes it down. */
  heardAt: number;
  send(request: HttpRequest, reader: HttpReader): HttpFlight;
  /** Breaks what is still under way. */
  close(): Promise<void>;
};
