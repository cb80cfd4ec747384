import type { McpBusMessage } from '../../store/mcp-bus.ts';
import type { Questions } from './create-questions.ts';
import type { RequestStreams } from './create-request-streams.ts';
import type { Sessions } from './create-sessions.ts';
import type { StandingStreams } from './create-standing-streams.ts';
import type { Subscriptions } from './create-subscriptions.ts';
import { requestDigest } from './request-key.ts';
import { takenBack } from './run-request.ts';

type Hearing = { [Kind in McpBusMessage['kind']]?: (message: Extract<McpBusMessage, { kind: Kind }>) => void };

/** Does what other replicas ask of sessions and streams. */
export const hearReplicas = ({
  sessions,
  requestStreams,
  standing,
  questions,
  subscriptions,
}: {
  sessions: Sessions;
  requestStreams: RequestStreams;
  standing: StandingStreams;
  questions: Questions;
  subscriptions: Subscriptions;
}): ((message: McpBusMessage) => void) => {
  const hearing: Hearing = {
    answer: ({ id }) => questions.onAnswer(id),
    cancel: ({ session, request }) => {
      for (const [key, running] of sessions.running(session) ?? []) if (requestDigest(key) === request) running.abort(takenBack);
    },
    'session-ended': ({ session }) => sessions.ended(session),
    'session-changed': ({ session }) => {
      sessions.onChanged(session);
      void subscriptions.onChanged(session);
    },
    follow: ({ stream }) => requestStreams.onFollow(stream),
    events: ({ streams }) => {
      requestStreams.onEvents(streams);
      standing.onEvents(streams);
    },
    taken: ({ stream }) => standing.onTaken(stream),
  };
  // the compiler does not see that the message is of the kind that it is looked up by
  return (message) => (hearing[message.kind] as ((message: McpBusMessage) => void) | undefined)?.(message);
};
