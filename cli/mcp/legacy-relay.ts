import { randomUUID } from 'node:crypto';
import { isObject, type RequestId } from '../../gateway/mcp/message.ts';
import { GatewayAway, type GatewayHttp, type HttpAnswer } from './gateway-http.ts';
import { createLegacySession } from './legacy-session.ts';
import type { Deliver } from './modern-relay.ts';
import { pause, whileAway } from './patience.ts';
import { isEventStream, readAnswer, refusalLine, type StreamPlace } from './read-answer.ts';
import type { RequestLine, RpcLine } from './rpc-line.ts';

/** Before a broken stream is taken up again, where the gateway does not say how long. */
const defaultRetryMs = 300;
/** Before something is asked for again that the gateway refuses. */
const refusedMs = 2000;
/** How long requests wait for the standing stream to be opened first. */
const longestOpeningMs = 2000;
const forever = { longestMs: Number.POSITIVE_INFINITY };

const isReplyTo = (text: string, id: RequestId): boolean => {
  const message: unknown = JSON.parse(text);
  return isObject(message) && !('method' in message) && message.id === id;
};

const toAway = (error: unknown): GatewayAway => (error instanceof GatewayAway ? error : new GatewayAway(true, error));

const nobody = async (): Promise<void> => undefined;

/**
 * Passes on messages of a legacy client in its session. Broken streams are taken up where they broke (`Last-Event-ID`); a request whose
 * stream cannot be is sent again, under the same `Idempotency-Key`. A lost session is replaced, and the client told that its lists changed.
 * @param options.signal - the client is gone
 */
export const createLegacyRelay = ({
  http,
  deliver,
  log,
  signal,
}: {
  http: GatewayHttp;
  deliver: Deliver;
  log: (text: string) => void;
  signal: AbortSignal;
}) => {
  const onRenewed = async (lists: string[]): Promise<void> => {
    log('the session was lost; another one goes on');
    for (const list of lists) await deliver(JSON.stringify({ jsonrpc: '2.0', method: `notifications/${list}/list_changed` }));
  };
  const session = createLegacySession({ http, signal, onRenewed });
  /** What has to be over before anything else is sent. */
  let opening: Promise<unknown> = Promise.resolve();
  let standing: Promise<void> | undefined;

  /** Sends something in the session; where that is lost, in another one. @throws {GatewayAway} */
  const inSession = async (send: () => Promise<HttpAnswer>): Promise<HttpAnswer> => {
    const { id } = session;
    const answer = await send();
    if (answer.status !== 404 || id === undefined || !(await session.renew(id))) return answer;
    await readAnswer(answer, {}, nobody);
    return send();
  };

  /** Reads an answer to its end, across connections. @throws {GatewayAway} when it breaks where it cannot be taken up */
  const readOn = async (first: HttpAnswer, reading: { isOver: () => boolean; signal: AbortSignal }, onMessage: Deliver): Promise<void> => {
    const place: StreamPlace = {};
    let answer = first;
    for (;;) {
      const broken = await readAnswer(answer, place, onMessage).then(() => undefined, toAway);
      if (reading.isOver() || reading.signal.aborted) return;
      if (place.eventId === undefined) throw broken ?? new GatewayAway(true, 'the stream ended without an answer');
      await pause(place.retryMs ?? defaultRetryMs, reading.signal);
      const headers = { ...session.headers(), accept: 'text/event-stream', 'last-event-id': place.eventId };
      answer = await whileAway(() => http.send('GET', headers, { signal: reading.signal }), { signal: reading.signal });
      if (isEventStream(answer)) continue;
      await readAnswer(answer, {}, nobody);
      throw new GatewayAway(true, 'the stream cannot be taken up again');
    }
  };

  const exchange = async (line: RequestLine, key: string, given: AbortSignal): Promise<void> => {
    const headers = { 'content-type': 'application/json', ...(line.method === 'tools/call' ? { 'idempotency-key': key } : {}) };
    const send = () => http.send('POST', { ...headers, ...session.headers() }, { body: line.text, signal: given });
    const answer = await inSession(send);
    if (answer.status >= 400) return deliver(await refusalLine(answer, line.id));
    let isOver = false;
    await readOn(answer, { isOver: () => isOver, signal: given }, async (text) => {
      if (given.aborted) return;
      isOver ||= isReplyTo(text, line.id);
      await deliver(text);
    });
  };

  /**
   * What the gateway has to say beside answers; it stands as long as the client is there.
   * @param onOpen - called when the gateway has answered for the first time: what it says from then on is heard
   */
  const stand = async (onOpen: () => void): Promise<void> => {
    const place: StreamPlace = {};
    while (!signal.aborted) {
      const { id } = session;
      const lastEvent: Record<string, string> = place.eventId === undefined ? {} : { 'last-event-id': place.eventId };
      const headers = { ...session.headers(), accept: 'text/event-stream', ...lastEvent };
      const answer = await whileAway(() => http.send('GET', headers, { signal }), { signal, ...forever });
      onOpen();
      const isOpen = isEventStream(answer);
      await readAnswer(answer, place, isOpen ? deliver : nobody).catch(toAway);
      if (answer.status === 405) return;
      if (!isOpen) delete place.eventId;
      const isRenewed = answer.status === 404 && id !== undefined && (await whileAway(() => session.renew(id), { signal, ...forever }));
      await pause(isOpen || isRenewed ? (place.retryMs ?? defaultRetryMs) : refusedMs, signal);
    }
  };

  const openStanding = (): Promise<unknown> => {
    const opened = new Promise<void>((resolve) => {
      standing ??= stand(resolve).catch(() => undefined);
    });
    return Promise.race([opened, standing, pause(longestOpeningMs, signal)]);
  };

  return {
    /** @param given - of this request: aborted when nothing more of it is wanted. @throws {GatewayAway} */
    request: async (line: RequestLine, given: AbortSignal): Promise<void> => {
      if (line.method === 'initialize') {
        const answer = session.initialize(line);
        opening = answer.catch(() => undefined);
        return deliver(await answer);
      }
      await opening;
      session.note(line);
      const key = randomUUID();
      await whileAway(() => exchange(line, key, given), { signal: given });
    },
    /** Sends what has no answer of its own: notifications, answers of the client, batches. @throws {GatewayAway} */
    send: async (line: Exclude<RpcLine, RequestLine>): Promise<void> => {
      const sending = opening.then(() => whileAway(() => inSession(() => session.post(line.text)), { signal }));
      const isBeginning = line.kind === 'notification' && line.method === 'notifications/initialized';
      // said before anything is waited for: nothing that the client causes next may be told before there is a stream to tell it on
      if (isBeginning) opening = sending.then(openStanding, () => undefined);
      const answer = await sending;
      if (answer.status < 400) return readAnswer(answer, {}, deliver);
      const refusal = JSON.parse(await refusalLine(answer, ''));
      if (line.kind !== 'batch') log(`a message was not taken: ${refusal.error.message}`);
      else for (const id of line.ids) await deliver(JSON.stringify({ ...refusal, id }));
    },
    end: () => session.end(),
  };
};
