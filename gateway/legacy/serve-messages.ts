import type { McpBus } from '../../store/mcp-bus.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { checkMessage, isRequestId, type MessageCheck } from '../edge/check-message.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import type { JsonObject, Notification } from '../mcp/message.ts';
import type { Surface } from '../surface/surface.ts';
import type { Questions } from './create-questions.ts';
import { onBehalfOf } from './on-behalf-of.ts';
import { readReply } from './read-reply.ts';
import { requestDigest, requestKey } from './request-key.ts';
import { takenBack } from './run-request.ts';
import type { Session } from './session.ts';

/** What one POST brought. */
export type Incoming = { message: unknown; check: MessageCheck };
export type IncomingRequest = Extract<MessageCheck, { kind: 'request' }>;

export const checkAll = (messages: readonly unknown[]): Incoming[] =>
  messages.map((message) => ({ message, check: checkMessage(message) }));

/** Takes what nobody is answered: notifications, and answers to our questions. */
export const createMessageTaker = ({
  surface,
  questions,
  bus,
  logger,
}: {
  surface: Pick<Surface, 'notified'>;
  questions: Questions;
  bus: () => Pick<McpBus, 'tell'>;
  logger: Logger;
}) => {
  const cancel = (session: Session, id: unknown): void => {
    if (!isRequestId(id)) return;
    const key = requestKey(id);
    const running = session.running.get(key);
    if (running) running.abort(takenBack);
    // it may run at another replica
    else bus().tell({ kind: 'cancel', session: session.id, request: requestDigest(key) });
  };

  const notify = ({ principal, endpoint }: EdgeRequest, session: Session, notification: Notification): void => {
    const { method, params } = notification;
    if (method === 'notifications/cancelled') cancel(session, params?.requestId);
    if (method === 'notifications/cancelled' || method === 'notifications/initialized') return;
    try {
      surface.notified(onBehalfOf({ principal, endpoint, session }), notification);
    } catch (error) {
      logger.error({ err: error, method }, 'a notification failed inside');
    }
  };

  /** Without a session there is nobody whom a notification could concern. @throws {PlatformError} `store_unavailable` */
  return async (from: EdgeRequest, session: Session | undefined, incoming: readonly Incoming[]): Promise<void> => {
    if (!session) return;
    for (const { message, check } of incoming) {
      if (check.kind === 'notification') notify(from, session, { method: check.method, params: check.params });
      if (check.kind === 'response') await questions.answered(session.id, check.id, readReply(message as JsonObject));
    }
  };
};
export type MessageTaker = ReturnType<typeof createMessageTaker>;
