import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { ShortAnswer } from './short-answer.ts';

/** A request that came whole, in a form so plain that nobody could read it otherwise. */
export type ShortRequest = {
  readonly method: 'POST';
  /** The path; a short request has no query. */
  readonly url: string;
  /** Names in lower case, each once. */
  readonly headers: IncomingHttpHeaders;
  /** Empty once it was read (edge/read-body.ts). */
  body: Buffer;
  /** Where the connection comes from. */
  readonly remoteAddress: string | undefined;
};

/** A request as MCP's edge takes it: short ones bring their body along, the others are read. */
export type HttpRequest = ShortRequest | IncomingMessage;

/** Where the answer to one request goes. */
export type HttpAnswer = ServerResponse | ShortAnswer;
