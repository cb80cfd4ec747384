import { type JsonObject, type Notification, objectAt, rpcCodes } from '../mcp/message.ts';
import { PassingMap } from '../passing-map.ts';
import { beginFlight, type Flight, type FlightParts } from './flight.ts';
import type { UpstreamLost } from './upstream-lost.ts';

export type FlightTable = {
  readonly size: number;
  begin(parts: Omit<FlightParts, 'onOver' | 'answer' | 'onOther'>): Flight;
  /** A message that came beside the requests, e.g. on a standing stream: it finds the request that it is about. */
  route(message: JsonObject): void | Promise<void>;
  failAll(error: UpstreamLost): void;
};

/**
 * The requests of one session that are under way. Log messages and questions that come beside them do not say which request they are
 * about: they go to the newest that takes such things.
 * @param isShared - the session serves several callers: what does not say whose it is reaches none of them
 */
export const createFlightTable = ({
  answer,
  onOther,
  onStray,
  isShared = false,
}: Pick<FlightParts, 'answer' | 'onOther'> & {
  /** A log message that came when no request was under way. */
  onStray(notification: Notification): void;
  isShared?: boolean | undefined;
}): FlightTable => {
  const flights = new PassingMap<unknown, Flight>();
  const newest = (fits: (flight: Flight) => boolean): Flight | undefined => (isShared ? undefined : flights.values().findLast(fits));

  const notified = (message: JsonObject, method: string): void | Promise<void> => {
    if (method === 'notifications/progress') return flights.get(Number(objectAt(message, 'params').progressToken))?.receive(message);
    if (method === 'notifications/message') {
      const flight = newest((each) => each.takesNotifications);
      if (flight) return flight.receive(message);
      if (!isShared) onStray({ method, params: objectAt(message, 'params') });
      return;
    }
    if (method !== 'notifications/cancelled') onOther({ method, params: objectAt(message, 'params') });
    else for (const flight of flights.values()) void flight.receive(message);
  };

  const asked = (message: JsonObject, method: string): void => {
    const flight = newest(({ takesQuestions }) => takesQuestions) ?? newest(() => true);
    if (flight) void flight.receive(message);
    else if (method === 'ping') answer({ jsonrpc: '2.0', id: message.id, result: {} });
    else
      answer({
        jsonrpc: '2.0',
        id: message.id,
        error: { code: rpcCodes.methodNotFound, message: 'No request is under way that could ask.' },
      });
  };

  return {
    get size() {
      return flights.size;
    },
    begin: (parts) => {
      const flight = beginFlight({ ...parts, answer, onOther, onOver: () => flights.delete(parts.id) });
      flights.set(parts.id, flight);
      return flight;
    },
    route: (message) => {
      const { id, method } = message;
      if (typeof method !== 'string') return flights.get(id)?.receive(message);
      if (id === undefined) return notified(message, method);
      asked(message, method);
    },
    failAll: (error) => {
      for (const flight of flights.values()) flight.fail(error);
    },
  };
};
