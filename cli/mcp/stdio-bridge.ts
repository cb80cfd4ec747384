import { type RequestId, rpcCodes } from '../../gateway/mcp/message.ts';
import { GatewayAway, type GatewayHttp } from './gateway-http.ts';
import { createLegacyRelay } from './legacy-relay.ts';
import { isListen, listenFor } from './listen-relay.ts';
import { createModernRelay, type Deliver } from './modern-relay.ts';
import { pause } from './patience.ts';
import { awayLine, errorLine, type RequestLine, type RpcLine, readLine, versionOf } from './rpc-line.ts';

/** How long requests may go on when the client has closed its end of the pipe: whoever pipes them in wants the answers. */
const lastAnswersMs = 1000;

/** A request on its way. */
type Flight = { controller: AbortController; isModern: boolean; isListening: boolean };

/**
 * Passes messages between a client that speaks stdio and the gateway, which speaks HTTP. It understands as much of them as the transports
 * differ: where to send what, what cancels what, and how to go on after the connection broke. Everything else passes as it is.
 * @param options.deliver - writes one message to the client; resolves when it can take more
 */
export const createStdioBridge = ({ http, deliver, log }: { http: GatewayHttp; deliver: Deliver; log: (text: string) => void }) => {
  const gone = new AbortController();
  const modern = createModernRelay({ http, deliver });
  const legacy = createLegacyRelay({ http, deliver, log, signal: gone.signal });
  const flights = new Map<RequestId, Flight>();
  const underWay = new Set<Promise<void>>();

  const request = async (line: RequestLine): Promise<void> => {
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, gone.signal]);
    const isModern = versionOf(line.params) !== undefined;
    const flight = { controller, isModern, isListening: isListen(line) };
    flights.set(line.id, flight);
    try {
      if (!isModern) await legacy.request(line, signal);
      else if (flight.isListening) await listenFor(modern, deliver, line, signal);
      else await modern.request(line, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof GatewayAway)) log(`a request failed: ${(error as Error).message}`);
      await deliver(awayLine(line.id));
    } finally {
      if (flights.get(line.id) === flight) flights.delete(line.id);
    }
  };

  /** Over HTTP a modern request is cancelled by closing its stream; a legacy one by the notification, and its stream is left then. */
  const cancel = async (line: Extract<RpcLine, { kind: 'notification' }>): Promise<void> => {
    const flight = flights.get(line.params.requestId as RequestId);
    if (!flight?.isModern) await legacy.send(line);
    flight?.controller.abort();
  };

  const notify = async (line: Exclude<RpcLine, RequestLine>): Promise<void> => {
    if (line.kind !== 'notification') return legacy.send(line);
    if (line.method === 'notifications/cancelled') return cancel(line);
    // clients of the modern era have no other notification, and no server waits for one
    if (versionOf(line.params) === undefined) return legacy.send(line);
  };

  const pass = async (text: string): Promise<void> => {
    const line = readLine(text);
    if (!line) return deliver(errorLine(null, rpcCodes.parse, 'Parse error: each line has to be one JSON-RPC message.'));
    if (line.kind === 'request') return request(line);
    await notify(line).catch((error) => {
      if (!gone.signal.aborted) log(`a message was lost: ${(error as Error).message}`);
    });
  };

  return {
    /** Takes one line of the client. */
    receive: (text: string): void => {
      const work = pass(text).finally(() => underWay.delete(work));
      underWay.add(work);
    },
    refuse: (reason: string): void => void deliver(errorLine(null, rpcCodes.invalidRequest, reason)),
    /** The client is gone: what it asked for may still be answered for a moment, and its session is ended. */
    close: async ({ isAbrupt = false }: { isAbrupt?: boolean } = {}): Promise<void> => {
      const waited = [...flights.values()].every(({ isListening }) => isListening) && flights.size > 0;
      if (!isAbrupt && !waited) await Promise.race([Promise.all(underWay), pause(lastAnswersMs, gone.signal)]);
      gone.abort();
      await legacy.end();
      await http.close();
    },
  };
};
