import type { ClientSession, StandingStream } from './client-sessions.ts';
import { createEventStream } from './event-stream.ts';
import type { McpExchange } from './mcp-exchange.ts';

/** A stream that says nothing for longer is taken for dead by some of what lies between. */
const commentIntervalMs = 25_000;

/**
 * Opens the stream of a session for what belongs to no request, in place of one that it had: a client that comes again has lost the other.
 * A reader that leaves more than 1 MiB unread is cut off; it looks again when it comes back.
 */
export const openStandingStream = ({ instance, response }: McpExchange, session: ClientSession): void => {
  const events = createEventStream(response);
  const gone = new AbortController();
  const stream: StandingStream = {
    send: (message) => {
      const isTaken = events.send(message);
      if (!isTaken) response.destroy();
      return isTaken;
    },
    end: () => events.end(),
    closed: gone.signal,
  };
  const timer = setInterval(events.comment, commentIntervalMs);
  response.once('close', () => {
    clearInterval(timer);
    gone.abort();
    if (session.stream === stream) delete session.stream;
  });
  session.stream?.end();
  session.stream = stream;
  events.begin();
  instance.current()?.questions.sendWaiting();
};
