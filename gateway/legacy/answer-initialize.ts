import { isPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { acceptedAnswers } from '../edge/accepted-answers.ts';
import { answerJsonText } from '../edge/answer-json.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import { SseWriter } from '../edge/sse-writer.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import type { Surface } from '../surface/surface.ts';
import type { Sessions } from './create-sessions.ts';
import { errorReply } from './error-reply.ts';
import type { LegacyLimits } from './legacy-limits.ts';
import { readClient } from './read-client.ts';
import { replyText } from './run-request.ts';
import type { IncomingRequest } from './serve-messages.ts';
import type { Session } from './session.ts';

/** Answers `initialize`: agrees on a revision, and begins a session with which any replica can go on. */
export const createInitializer = ({
  surface,
  sessions,
  logger,
  limits,
}: {
  surface: Pick<Surface, 'describe'>;
  sessions: Sessions;
  logger: Logger;
  limits: LegacyLimits;
}) => {
  const read = (params: IncomingRequest['params']): ClientFacts | Error => {
    try {
      return readClient(params, limits.clientFactsLength);
    } catch (error) {
      if (isPlatformError(error)) return error;
      throw error;
    }
  };
  const textOf = ({ principal, endpoint }: EdgeRequest, { id }: IncomingRequest, client: ClientFacts | Error): string =>
    replyText(
      id,
      client instanceof Error
        ? errorReply(client, logger)
        : { kind: 'result', result: { protocolVersion: client.protocolVersion, ...surface.describe(principal, endpoint, 'legacy') } },
    );

  return {
    /**
     * Over streamable HTTP, where the session begins with it.
     * @throws {PlatformError} `sessions_exhausted`, `store_unavailable`
     */
    begin: async (from: EdgeRequest, request: IncomingRequest): Promise<void> => {
      const { principal, endpoint, response } = from;
      const client = read(request.params);
      const text = textOf(from, request, client);
      if (!(client instanceof Error)) {
        const begun = await sessions.begin(principal, endpoint, { transport: 'streamable', client });
        response.setHeader('mcp-session-id', begun.text);
      }
      if (response.destroyed) return;
      if (acceptedAnswers(from.request.headers.accept).json) answerJsonText(response, 200, text);
      else new SseWriter(response).end(text);
    },

    /** Over HTTP+SSE, where the session is as old as its stream. @returns the answer */
    introduce: async (from: EdgeRequest, request: IncomingRequest, session: Session): Promise<string> => {
      const client = read(request.params);
      const text = textOf(from, request, client);
      if (!(client instanceof Error)) await sessions.setClient(session, client);
      return text;
    },
  };
};
export type Initializer = ReturnType<typeof createInitializer>;
