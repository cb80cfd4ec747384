import type { Logger } from '../../telemetry/logger.ts';
import type { StandingStreams } from './create-standing-streams.ts';
import type { Outlet } from './outlet.ts';

/**
 * Answers of HTTP+SSE: everything goes to the session's one stream, whichever replica holds it.
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
export const createSessionAnswer = (session: string, standing: StandingStreams, logger: Logger): Outlet => {
  const say = async (message: string): Promise<void> => {
    try {
      await standing.say(session, message);
    } catch (error) {
      logger.error({ err: error }, 'a message could not be put into the stream of its session');
    }
  };
  return {
    canAsk: true,
    say,
    ask: (message) => standing.sayToReader(session, message),
    reply: (message) => void say(message),
    skip: () => undefined,
  };
};
