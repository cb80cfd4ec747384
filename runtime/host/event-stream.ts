import type { ServerResponse } from 'node:http';
import type { JsonRpcMessage } from '../stdio/json-rpc.ts';

/** A reader that leaves more than this unread misses what comes next. */
const maximumUnreadBytes = 1024 * 1024;

/** Server-sent events on one response, which begins with the first of them. */
export type EventStream = {
  /** Whether the message was taken: false for a reader that is gone or too slow. */
  send(message: JsonRpcMessage): boolean;
  /** Sends headers now; a stream that stands open begins before there is something to say. */
  begin(): void;
  /** A line that readers skip: keeps what lies between from closing a quiet stream, and finds out that the reader is gone. */
  comment(): void;
  /** The last message, whatever was left unread, as text in one line of JSON. */
  end(text?: string): void;
};

const eventOf = (text: string): string => `event: message\ndata: ${text}\n\n`;

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export const createEventStream = (response: ServerResponse): EventStream => {
  const begin = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).flushHeaders();
  };
  const isTaken = (): boolean => !response.destroyed && !response.writableEnded && response.writableLength <= maximumUnreadBytes;
  return {
    begin,
    send: (message) => {
      if (!isTaken()) return false;
      begin();
      response.write(eventOf(JSON.stringify(message)));
      return true;
    },
    comment: () => {
      if (isTaken()) response.write(': still here\n\n');
    },
    end: (text) => {
      if (text === undefined) response.end();
      else response.end(eventOf(text));
    },
  };
};
