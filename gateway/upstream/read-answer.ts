import type { IncomingHttpHeaders } from 'node:http';
import { parseExactly } from '../../schema/exact-json.ts';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { HttpRequest, HttpSender } from './http-sender.ts';
import { createMessageQueue } from './message-queue.ts';
import { createEventReader, type ServerEvent } from './read-events.ts';
import { maxAnswerBytes } from './result-too-large.ts';
import { hasTooManyParts } from './too-many-parts.ts';

/** How much is read of an answer that refuses the request. */
const maxRefusalBytes = 64 * 1024;
/** How long a stream may go on that has told all; ending it costs the connection. */
const lingerMs = 1000;

/** How an HTTP answer ended. `broken`: the connection could not be made or was lost; `unusable`: what came is no answer of this protocol. */
export type AnswerEnd =
  | { kind: 'ended' }
  | { kind: 'refused'; status: number; headers: IncomingHttpHeaders; body: string }
  | { kind: 'broken'; cause: Error }
  | { kind: 'unusable'; cause: unknown }
  | { kind: 'too-large' };

export type AnswerParts = {
  /** Before anything is read; an `AnswerEnd` it returns ends the reading. */
  onStart?(status: number, headers: IncomingHttpHeaders): AnswerEnd | undefined;
  /** Messages in their order; the connection is read no further while one is not done. */
  onMessage(message: JsonObject): void | Promise<void>;
  /** Events of another type than `message`. */
  onEvent?(event: ServerEvent): void;
  /** Something was read of an answer that is not yet whole. */
  onProgress?(): void;
  /** Whether all that was asked for has come: a stream that does not end by itself then is ended. */
  isDone?(): boolean;
  /** Once, unless it was aborted. */
  onEnd(end: AnswerEnd): void;
};

/** An answer that is being read. */
export type Answer = {
  readonly wasSent: boolean;
  /** Where the stream can be taken up again, if the server said so. */
  readonly eventId: string | undefined;
  readonly retryMs: number | undefined;
  abort(): void;
};

type Mutable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };
type BodyReader = { push(chunk: Buffer): void; end(): void };

const mediaType = (headers: IncomingHttpHeaders): string =>
  String(headers['content-type'] ?? '')
    .split(';', 1)[0]
    ?.trim()
    .toLowerCase() ?? '';

/** A body in one piece: small ones come in one chunk and are not copied. */
const wholeBody = (chunks: Buffer[]): string => (chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)).toString('utf8');

/** Sends a request and reads its answer as messages, whether that is JSON or a stream of events. */
export const readAnswer = (sender: HttpSender, request: HttpRequest, parts: AnswerParts): Answer => {
  let body: BodyReader | undefined;
  let readsEvents = false;
  let isOver = false;
  let lingering: ReturnType<typeof setTimeout> | undefined;

  const end = (how: AnswerEnd): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(lingering);
    flight.abort();
    queue.whenIdle(() => parts.onEnd(how));
  };
  const abort = (): void => {
    isOver = true;
    clearTimeout(lingering);
    flight.abort();
  };
  const answer: Mutable<Answer> = { wasSent: false, eventId: undefined, retryMs: undefined, abort };
  const give = (message: unknown): void => {
    for (const each of Array.isArray(message) ? message : [message]) if (isObject(each)) queue.push(each);
  };
  const parse = (text: string): boolean => {
    if (hasTooManyParts(text)) {
      end({ kind: 'too-large' });
      return false;
    }
    try {
      give(parseExactly(text));
      return true;
    } catch (cause) {
      end({ kind: 'unusable', cause });
      return false;
    }
  };

  const jsonReader = (): BodyReader => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    return {
      push: (chunk) => {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) return end({ kind: 'too-large' });
        chunks.push(chunk);
        parts.onProgress?.();
      },
      end: () => {
        if (parse(wholeBody(chunks))) end({ kind: 'ended' });
      },
    };
  };
  const eventReader = (): BodyReader => {
    const reader = createEventReader({
      mostBytes: maxAnswerBytes,
      onEvent: (event) => {
        if (event.type === 'message') parse(event.data);
        else parts.onEvent?.(event);
      },
    });
    readsEvents = true;
    return {
      push: (chunk) => {
        const isShort = reader.push(chunk);
        answer.eventId = reader.eventId;
        answer.retryMs = reader.retryMs;
        if (!isShort) end({ kind: 'too-large' });
      },
      end: () => end({ kind: 'ended' }),
    };
  };
  const refusalReader = (status: number, headers: IncomingHttpHeaders): BodyReader => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const refuse = () => end({ kind: 'refused', status, headers, body: wholeBody(chunks) });
    return {
      push: (chunk) => {
        bytes += chunk.length;
        if (bytes > maxRefusalBytes) return refuse();
        chunks.push(chunk);
      },
      end: refuse,
    };
  };

  const readerOf = (status: number, headers: IncomingHttpHeaders): BodyReader => {
    if (status >= 300) return refusalReader(status, headers);
    const type = mediaType(headers);
    if (type === 'text/event-stream') return eventReader();
    if (type === 'application/json') return jsonReader();
    // 202 and 204: heard, with nothing to say
    return { push: () => undefined, end: () => end({ kind: 'ended' }) };
  };

  const flight = sender.send(request, {
    onSent: () => {
      answer.wasSent = true;
    },
    onStart: (status, headers) => {
      sender.heardAt = performance.now();
      const early = parts.onStart?.(status, headers);
      if (early) return end(early);
      if (Number(headers['content-length'] ?? 0) > maxAnswerBytes && status < 300) return end({ kind: 'too-large' });
      body = readerOf(status, headers);
    },
    onData: (chunk) => {
      sender.heardAt = performance.now();
      if (!isOver) body?.push(chunk);
    },
    onEnd: () => {
      if (!isOver) body?.end();
    },
    onError: (cause) => end({ kind: 'broken', cause }),
  });
  const take = (message: JsonObject): void | Promise<void> => {
    const done = parts.onMessage(message);
    if (readsEvents && !lingering && parts.isDone?.()) lingering = setTimeout(abort, lingerMs);
    return done;
  };
  const queue = createMessageQueue(take, flight);

  return answer;
};
