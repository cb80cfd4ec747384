import type { LogLevel } from '../../schema/mcp-revisions.ts';
import type { Flight } from './flight.ts';
import { createFlightTable } from './flight-table.ts';
import { greetingOf, initializeParams } from './initialize-params.ts';
import { internalRequest } from './internal-request.ts';
import { legacyBody } from './legacy-body.ts';
import { isForgotten, settleRefusal } from './legacy-refusal.ts';
import type { LegacySessionParts } from './legacy-session.ts';
import { lossOfEnd } from './loss-of-end.ts';
import { nextRequestId } from './next-request-id.ts';
import { type EventStream, openEventStream } from './open-event-stream.ts';
import { postMessage } from './post-message.ts';
import { type AnswerEnd, readAnswer } from './read-answer.ts';
import { readRefusal } from './refusal.ts';
import type { Greeting, SendOptions, StandHooks, StatefulSession } from './session.ts';
import type { UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { acceptBoth } from './wire.ts';

type Open = { stream: EventStream; greeting: Greeting; level?: LogLevel };

/**
 * A session at a server of HTTP+SSE (2024-11-05): requests are posted, and everything comes back on the one stream that is the session. When
 * it breaks, what was under way has no answer, and the next request opens another.
 */
export const createEventSession = (parts: Omit<LegacySessionParts, 'kept'>): StatefulSession => {
  const { wire, client, openTimeoutMs, onContradiction } = parts;
  let opening: Promise<Open> | undefined;
  let current: Open | undefined;
  let hooks: StandHooks = {};

  const post = ({ endpoint }: EventStream, message: object): Promise<AnswerEnd> =>
    postMessage(wire, endpoint, wire.headers, { jsonrpc: '2.0', ...message });
  let onStray: SendOptions['onStray'];
  const flights = createFlightTable({
    answer: (message) => void (current && post(current.stream, message)),
    onOther: parts.onOther,
    onStray: (notification) => onStray?.(notification),
    isShared: parts.isShared,
  });

  const lose = (stream: EventStream | undefined): void => {
    if (current && current.stream !== stream) return;
    current?.stream.close();
    current = undefined;
    opening = undefined;
    flights.failAll(new UpstreamLost(true, new Error('the stream of the session broke')));
    hooks.onDown?.();
    parts.onForgotten();
  };

  const transmit = (stream: EventStream, request: UpstreamRequest, again?: (flight: Flight, body: string) => void): Flight => {
    const id = nextRequestId();
    const body = legacyBody(id, request);
    const flight = flights.begin({
      id,
      request,
      capabilities: client.capabilities,
      abandon: () => {
        if (!answer.wasSent) answer.abort();
        else if (request.method !== 'initialize')
          void post(stream, { method: 'notifications/cancelled', params: { requestId: id, reason: 'The caller gave it up.' } });
        return answer.wasSent;
      },
    });
    const answer = readAnswer(
      wire.sender,
      { method: 'POST', path: stream.endpoint, headers: [...acceptBoth, ...wire.headers], body },
      {
        onMessage: flight.receive,
        onEnd: (end) => {
          // taken: the reply comes on the stream
          if (end.kind === 'ended' || flight.isOver) return;
          if (end.kind !== 'refused') flight.fail(lossOfEnd(end, answer.wasSent));
          else if (again && isForgotten(readRefusal({ ...end, id }))) again(flight, body);
          else settleRefusal(flight, readRefusal({ ...end, id }), { hasSession: true, onContradiction });
        },
      },
    );
    return flight;
  };

  const initialize = async (): Promise<Open> => {
    let stream: EventStream | undefined;
    stream = await openEventStream({ wire, timeoutMs: openTimeoutMs, onMessage: flights.route, onEnd: () => lose(stream) });
    try {
      const { reply } = transmit(stream, internalRequest('initialize', initializeParams(client), openTimeoutMs));
      const greeting = greetingOf(wire.name, await reply);
      await post(stream, { method: 'notifications/initialized' });
      return { stream, greeting };
    } catch (error) {
      stream.close();
      throw error;
    }
  };

  const opened = (): Promise<Open> => {
    opening ??= initialize().then(
      (open) => {
        current = open;
        hooks.onUp?.(true);
        return open;
      },
      (error) => {
        opening = undefined;
        throw error;
      },
    );
    return opening;
  };

  const openedForRequest = (): Promise<Open> =>
    opened().catch((error: unknown) => {
      throw error instanceof UpstreamLost ? new UpstreamLost(false, error.cause, error.reason) : new UpstreamLost(false, error, 'refused');
    });

  const send = async (open: Open, request: UpstreamRequest, isSecond = false) => {
    let isAgain = false;
    const { reply } = transmit(
      open.stream,
      request,
      isSecond
        ? undefined
        : (flight) => {
            isAgain = true;
            flight.fail(new UpstreamLost(false, undefined, 'refused'));
          },
    );
    try {
      return await reply;
    } catch (error) {
      if (!isAgain || request.signal.aborted) throw error;
      lose(open.stream);
      return send(await openedForRequest(), request, true);
    }
  };

  return {
    era: 'legacy',
    get load() {
      return flights.size;
    },
    hasId: true,
    open: async () => (await opened()).greeting,
    send: async (request, { logLevel, onStray: takesStray } = {}) => {
      onStray = takesStray;
      if (request.signal.aborted) throw new UpstreamLost(false, request.signal.reason, 'caller');
      const open = current ?? (await openedForRequest());
      if (logLevel !== undefined && logLevel !== open.level && parts.hasLogging()) {
        open.level = logLevel;
        await transmit(open.stream, internalRequest('logging/setLevel', { level: logLevel }, openTimeoutMs)).reply.catch(() => undefined);
      }
      if (request.signal.aborted) throw new UpstreamLost(false, request.signal.reason, 'caller');
      return send(open, request);
    },
    notify: (notification) => {
      if (current) void post(current.stream, notification);
    },
    stand: async (given = {}) => {
      hooks = given;
      await opened();
      hooks.onUp?.(false);
      return {
        get isUp() {
          return current !== undefined;
        },
        first: Promise.resolve(true),
        close: () => {
          hooks = {};
        },
      };
    },
    // the stream is the session
    sitDown: () => undefined,
    close: async () => {
      hooks = {};
      const open = current ?? (await opening?.catch(() => undefined));
      open?.stream.close();
    },
  };
};
