import type { Flight } from './flight.ts';
import { lossOfEnd } from './loss-of-end.ts';
import { type Answer, type AnswerEnd, readAnswer } from './read-answer.ts';
import { describeRefusal, readRefusal } from './refusal.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { acceptEvents, pathOf, type Wire } from './wire.ts';

/** How long to wait before a stream is taken up again where the server does not say it. */
const defaultPauseMs = 500;
/** So often in a row without hearing anything new. */
const mostTries = 5;

/**
 * Takes up the stream of one request after its connection ended without a reply: the server goes on with it, and sends what was missed. The
 * request itself is not sent again.
 * @param headers - of the session
 * @param onAnswer - told of each new connection
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery
 */
export const resumeStream = ({
  wire,
  headers,
  broken,
  flight,
  onAnswer,
}: {
  wire: Wire;
  headers: readonly string[];
  broken: Answer;
  flight: Flight;
  onAnswer: (answer: Answer) => void;
}): void => {
  let eventId = broken.eventId;
  let retryMs = broken.retryMs ?? defaultPauseMs;
  let tries = 0;

  const wait = (): void => {
    tries += 1;
    setTimeout(begin, retryMs);
  };
  const begin = (): void => {
    if (flight.isOver || eventId === undefined) return;
    const request = { method: 'GET' as const, path: pathOf(wire.url), headers: [...acceptEvents, ...headers, 'last-event-id', eventId] };
    const answer = readAnswer(wire.sender, request, {
      onMessage: flight.receive,
      isDone: () => flight.isOver,
      onEnd: (end) => ended(end, answer),
    });
    onAnswer(answer);
  };
  const ended = (end: AnswerEnd, answer: Answer): void => {
    if (flight.isOver) return;
    if (answer.eventId !== undefined && answer.eventId !== eventId) tries = 0;
    eventId = answer.eventId ?? eventId;
    retryMs = answer.retryMs ?? retryMs;
    // a server that cannot be reached any more took the request with it
    const canGoOn = end.kind === 'ended' || (end.kind === 'broken' && answer.wasSent);
    if (canGoOn && tries < mostTries) wait();
    else if (end.kind === 'refused')
      flight.fail(new UpstreamLost(true, new Error(describeRefusal(readRefusal({ ...end, id: flight.id })))));
    else flight.fail(lossOfEnd(end, true));
  };
  wait();
};
