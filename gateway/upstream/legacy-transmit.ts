import { instanceHeader, lostHeader } from '../../schema/host-headers.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { traceHeaders } from '../mcp/trace-context.ts';
import type { Flight } from './flight.ts';
import type { FlightTable } from './flight-table.ts';
import { legacyBody } from './legacy-body.ts';
import { isForgotten, settleRefusal } from './legacy-refusal.ts';
import { lossAtHost } from './loss-at-host.ts';
import { lossOfEnd } from './loss-of-end.ts';
import { nextRequestId } from './next-request-id.ts';
import type { OpenLegacy } from './open-legacy.ts';
import { postMessage } from './post-message.ts';
import { type Answer, type AnswerEnd, readAnswer } from './read-answer.ts';
import { readRefusal } from './refusal.ts';
import { resumeStream } from './resume-stream.ts';
import type { SendOptions } from './session.ts';
import type { UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { acceptBoth, pathOf, type Wire } from './wire.ts';

/** One request, and the connections that it takes one after the other. */
type Trip = { flight: Flight; body: string; trace: string[]; options: SendOptions; answer?: Answer; wasSent: boolean; isSecond: boolean };

/**
 * Sends requests in a session of streamable HTTP. One that the server sends back since it does not know the session is sent once more in the
 * next session; one whose stream breaks is waited for where the server keeps the stream.
 * @param renew - gives the next session
 */
export const createLegacyTransmit = ({
  wire,
  capabilities,
  flights,
  renew,
  onContradiction,
}: {
  wire: Wire;
  capabilities: JsonObject;
  flights: FlightTable;
  renew(forgotten: OpenLegacy): Promise<OpenLegacy>;
  onContradiction(): void;
}) => {
  const path = pathOf(wire.url);

  const begin = (id: number, open: OpenLegacy, request: UpstreamRequest, trip: () => Trip): Flight =>
    flights.begin({
      id,
      request,
      capabilities,
      abandon: () => {
        const { answer, wasSent } = trip();
        answer?.abort();
        if (!wasSent && !answer?.wasSent) return false;
        // our host takes a closed connection for the same
        const params = { requestId: id, reason: 'The caller gave it up.' };
        if (!wire.isOurHost) void postMessage(wire, path, open.headers, { jsonrpc: '2.0', method: 'notifications/cancelled', params });
        return true;
      },
    });

  const sendAgain = (open: OpenLegacy, trip: Trip): void => {
    delete trip.answer;
    trip.isSecond = true;
    renew(open).then(
      (next) => {
        if (!trip.flight.isOver) attempt(next, trip);
      },
      (error: unknown) => trip.flight.fail(new UpstreamLost(false, error)),
    );
  };

  const ended = (open: OpenLegacy, trip: Trip, answer: Answer, end: AnswerEnd): void => {
    const { flight } = trip;
    if (flight.isOver) return;
    if (end.kind === 'refused') {
      const refusal = readRefusal({ ...end, id: flight.id });
      if (open.id !== undefined && !trip.isSecond && isForgotten(refusal)) sendAgain(open, trip);
      else settleRefusal(flight, refusal, { hasSession: open.id !== undefined, onContradiction });
      return;
    }
    trip.wasSent ||= answer.wasSent;
    const canResume = (end.kind === 'ended' || end.kind === 'broken') && answer.eventId !== undefined;
    const onAnswer = (next: Answer): void => {
      trip.answer = next;
    };
    if (canResume) resumeStream({ wire, headers: open.headers, broken: answer, flight, onAnswer });
    else flight.fail(lossOfEnd(end, trip.wasSent));
  };

  const attempt = (open: OpenLegacy, trip: Trip): void => {
    const { flight, body, options } = trip;
    const headers = [...acceptBoth, ...open.headers, ...trip.trace];
    if (options.instance !== undefined) headers.push(instanceHeader, options.instance);
    const answer = readAnswer(
      wire.sender,
      { method: 'POST', path, headers, body },
      {
        onStart: (status, given) => {
          options.onHeaders?.(given);
          const loss = wire.isOurHost ? lossAtHost(status, given) : undefined;
          if (!loss) return undefined;
          // the instance is there, the session is not
          if (status === 404 && given[lostHeader] !== undefined) return { kind: 'refused', status, headers: given, body: '' };
          flight.fail(loss);
          return { kind: 'ended' };
        },
        onMessage: flight.receive,
        onProgress: flight.heard,
        isDone: () => flight.isOver,
        onEnd: (end) => ended(open, trip, answer, end),
      },
    );
    trip.answer = answer;
  };

  return (open: OpenLegacy, request: UpstreamRequest, options: SendOptions): Promise<Reply> => {
    const id = nextRequestId();
    const flight = begin(id, open, request, () => trip);
    const trip: Trip = {
      flight,
      body: legacyBody(id, request),
      trace: traceHeaders(request.meta),
      options,
      wasSent: false,
      isSecond: false,
    };
    attempt(open, trip);
    return flight.reply;
  };
};
